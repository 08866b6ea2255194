_base_ = ["alocc_2d_mini_small.py"]
train_cfg = dict(samples=16, global_batch=2, val_every=16, checkpoint_every=16)
hooks = dict(log=dict(every=1))
