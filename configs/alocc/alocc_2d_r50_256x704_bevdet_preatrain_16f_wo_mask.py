"""For RayIoU (published: 43.0), labels of hidden voxels count in training as well."""
_base_ = ["alocc_2d_r50_256x704_bevdet_preatrain_16f.py"]
train_dataloader = dict(dataset=dict(labels=dict(mask="none")))
