"""OpenOccupancy with images of full size, and those of the previous key frame for stereo depth."""
_base_ = ["openoccupancy.py"]
image_size = (896, 1600)

train_dataloader = dict(
    dataset=dict(load_adjacent=True, image=dict(size=image_size), depth=dict(depth_range=(1.0, 60.0)))
)
val_dataloader = dict(dataset=dict(load_adjacent=True, image=dict(size=image_size)))
test_dataloader = val_dataloader
