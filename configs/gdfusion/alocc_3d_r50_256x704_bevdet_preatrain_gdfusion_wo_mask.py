_base_ = ["alocc_3d_r50_256x704_bevdet_preatrain_gdfusion.py"]
train_dataloader = dict(dataset=dict(labels=dict(mask="none")))  # the best RayIoU of the published models: 44.1
