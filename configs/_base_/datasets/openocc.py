"""nuScenes with OpenOcc v2.1 labels: flow, and supervision where evaluation rays pass. Images as for Occ3D."""
_base_ = ["occ3d_nuscenes.py"]
label_space = "OpenOcc"

train_dataloader = dict(
    dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="rays")),
)
val_dataloader = dict(
    dataset=dict(labels=dict(type="OpenOccLabels", folder="openocc_v2", mask="none")),
)
test_dataloader = val_dataloader
