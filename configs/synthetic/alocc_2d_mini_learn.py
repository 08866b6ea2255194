_base_ = ["alocc_2d_mini_small.py"]
train_cfg = dict(samples=3600, checkpoint_every=400)
hooks = dict(warm_up=dict(samples=50, cool_from=2400, cool_to=3600), denoising=dict(end=1800), ema=dict(decay=0.995, ramp=200))
