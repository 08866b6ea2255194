"""One short sequence again and again, without augmentation, until it is known by heart (`occstudio prove`)."""
_base_ = ["synthetic.py"]
train_cfg = dict(samples=900, global_batch=1, val_every=0, checkpoint_every=300)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
hooks = dict(
    warm_up=dict(type="WarmUpCoolDown", samples=20, cool_from=450, cool_to=900),
    denoising=dict(end=150),
    ema=dict(decay=0.9, ramp=20),
)
