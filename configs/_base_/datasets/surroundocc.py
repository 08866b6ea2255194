"""nuScenes with SurroundOcc labels, in the frame of the lidar. Images as for Occ3D."""
_base_ = ["occ3d_nuscenes.py"]
label_space = "SurroundOcc"
grid = dict(lower=(-50.0, -50.0, -5.0), upper=(50.0, 50.0, 3.0), shape=(200, 200, 16))
labels = dict(type="SurroundOccLabels", grid=grid, folder="gts_surroundocc")

train_dataloader = dict(dataset=dict(labels=dict(_delete_=True, **labels)))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = val_dataloader
