_base_ = [
    "../_base_/models/alocc_2d_tiny.py",
    "../_base_/models/gdfusion.py",
    "../_base_/datasets/sequence.py",
    "../_base_/schedules/overfit.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network={{_base_.gdfusion}})
image = dict(size=(256, 704))
train_dataloader = dict(dataset=dict(load_adjacent=True, depth=dict(semantics=True), image=image))
val_dataloader = dict(dataset=dict(load_adjacent=True, image=image))
test_dataloader = val_dataloader
# Stereo depth and four memories need more samples than ALOcc-2D-mini.
train_cfg = dict(samples=1500, checkpoint_every=500)
hooks = dict(warm_up=dict(cool_from=600, cool_to=1500))
