"""As published for RayIoU (35.2), with labels outside of the camera mask."""
_base_ = ["bevdetocc_r50_256x704_bevdet_pretrain_solofusion_16f.py"]
train_dataloader = dict(dataset=dict(labels=dict(mask="none")))
