_base_ = [
    "../_base_/models/bevdetocc_tiny.py",
    "../_base_/datasets/sequence.py",
    "../_base_/schedules/overfit.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
image = dict(size=(256, 704))
train_dataloader = dict(dataset=dict(load_adjacent=True, image=image))
val_dataloader = dict(dataset=dict(load_adjacent=True, image=image))
test_dataloader = val_dataloader
# Half of what the others see: its volumes at full resolution take most of the time of a step.
train_cfg = dict(samples=450, checkpoint_every=150)
hooks = dict(warm_up=dict(cool_from=225, cool_to=450), denoising=None)
