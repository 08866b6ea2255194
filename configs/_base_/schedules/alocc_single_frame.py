"""The published schedule of ALOcc without history: 24 passes over nuScenes, lidar depth in the lifting for six."""
_base_ = ["alocc.py"]
train_cfg = dict(samples=675072, val_every=225024, checkpoint_every=28128)
hooks = dict(history=None, denoising=dict(end=168768))
