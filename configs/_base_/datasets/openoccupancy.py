"""nuScenes with OpenOccupancy labels (v0.0 and v0.1), in the frame of the lidar. Images as for Occ3D."""
_base_ = ["occ3d_nuscenes.py"]
label_space = "OpenOccupancy"
grid = dict(lower=(-51.2, -51.2, -5.0), upper=(51.2, 51.2, 3.0), shape=(512, 512, 40))
labels = dict(type="OpenOccupancyLabels", grid=grid, folder="nuScenes-Occupancy-v0.1")

train_dataloader = dict(dataset=dict(labels=dict(_delete_=True, **labels)))
val_dataloader = dict(dataset=dict(labels=labels))
test_dataloader = val_dataloader
