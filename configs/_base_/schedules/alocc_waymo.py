"""The published schedule of ALOcc on Waymo: twelve "epochs" of 158080 samples, history after two, lidar depth in six."""
_base_ = ["alocc.py"]
train_cfg = dict(samples=1896960, val_every=632320)
hooks = dict(history=dict(start=316160), denoising=dict(end=948480))
