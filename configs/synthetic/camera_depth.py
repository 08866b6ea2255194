"""One frame, depth from the images: the opponent of `lidar_depth`."""
_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/synthetic.py",
    "../_base_/schedules/synthetic.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
model = dict(network=dict(temporal=dict(_delete_=True, type="NoFusion")))
# Supervised also where no camera sees, which is where moving objects are looked for.
train_dataloader = dict(
    num_workers=0, dataset=dict(labels=dict(mask="none"), depth=dict(semantics=True), scene=None, sequences_split=4)
)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
train_cfg = dict(samples=400, global_batch=1, checkpoint_every=100)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
hooks = dict(
    warm_up=dict(type="WarmUpCoolDown", samples=20, cool_from=160, cool_to=400),
    denoising=dict(end=120),
)
