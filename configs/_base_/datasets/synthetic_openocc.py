"""The synthetic world with OpenOcc labels: voxels of moving objects carry velocities."""
_base_ = ["synthetic.py"]
label_space = "OpenOcc"

train_dataloader = dict(dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="rays")))
val_dataloader = dict(dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="none")))
test_dataloader = val_dataloader
