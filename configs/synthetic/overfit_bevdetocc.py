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
train_cfg = dict(samples=1200)
hooks = dict(
    warm_up=dict(cool_from=500, cool_to=1200),
    denoising=None,
    # Statistics of single frames tell frames apart: without this it knows them in training, not in evaluation.
    frozen_statistics=dict(type="FrozenStatistics", start=300),
)
