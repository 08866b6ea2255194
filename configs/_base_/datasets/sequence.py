"""The only training sequence of `tools/create_data.py synthetic --preset sequence`: trained on and scored on."""
_base_ = ["synthetic.py"]
root = "data/synthetic-sequence"

train_dataloader = dict(num_workers=0, dataset=dict(root=root, image=dict(flip=0.0), scene=None))
val_dataloader = dict(num_workers=0, dataset=dict(root=root, split="train"))
test_dataloader = val_dataloader
