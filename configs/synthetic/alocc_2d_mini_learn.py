_base_ = ["alocc_2d_mini_small.py"]
train_cfg = dict(samples=1600, checkpoint_every=400)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
hooks = dict(
    warm_up=dict(samples=50, cool_from=1000, cool_to=1600),
    denoising=dict(end=800),
    ema=dict(decay=0.995, ramp=200),
)
