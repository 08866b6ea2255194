"""Every voxel is trained, seen by a camera or not; published with 39.3 RayIoU."""
_base_ = ["alocc_2d_mini_r50_256x704_bevdet_preatrain_16f.py"]
train_dataloader = dict(dataset=dict(labels=dict(mask="none")))
