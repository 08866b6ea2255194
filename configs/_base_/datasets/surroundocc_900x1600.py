"""SurroundOcc with images of full size: the four topmost rows are cropped, so that strides of 32 divide the rest."""
_base_ = ["surroundocc.py"]
image_size = (896, 1600)

train_dataloader = dict(dataset=dict(image=dict(size=image_size), depth=dict(depth_range=(1.0, 60.0))))
val_dataloader = dict(dataset=dict(image=dict(size=image_size)))
test_dataloader = val_dataloader
