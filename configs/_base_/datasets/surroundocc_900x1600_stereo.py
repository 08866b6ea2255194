"""SurroundOcc with images of full size, and those of the previous key frame for stereo depth."""
_base_ = ["surroundocc_900x1600.py"]

train_dataloader = dict(dataset=dict(load_adjacent=True))
val_dataloader = dict(dataset=dict(load_adjacent=True))
test_dataloader = val_dataloader
