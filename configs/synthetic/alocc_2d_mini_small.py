_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/synthetic.py",
    "../_base_/schedules/synthetic.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
train_cfg = dict(samples=280, global_batch=1, checkpoint_every=140)
train_dataloader = dict(num_workers=0, dataset=dict(depth=dict(semantics=True), scene=None, sequences_split=4))
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
evaluation = dict(metrics=("miou", "ray_iou"))
optim_wrapper = dict(optimizer=dict(lr=4e-3))
hooks = dict(
    warm_up=dict(type="WarmUpCoolDown", samples=20, cool_from=80, cool_to=280),
    denoising=dict(end=100),
)
