_base_ = ["alocc_2d_mini_small.py"]
train_cfg = dict(samples=4, checkpoint_every=4)
hooks = dict(log=dict(every=1))
