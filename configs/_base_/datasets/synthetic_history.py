"""The synthetic world with sweeps (`tools/create_data.py synthetic --sweeps 5`): three past images, small ones."""
_base_ = ["occ3d_nuscenes_history.py"]
root = "data/synthetic-sweeps"
image_size = (128, 352)
history = dict(frames=3)

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        root=root,
        version="v1.0-mini",
        history=history,
        image=dict(size=image_size, resize=(0.0, 0.0)),  # as in synthetic.py
        scene=dict(rotation=0.0),
    ),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(root=root, version="v1.0-mini", history=history, image=dict(size=image_size)),
)
test_dataloader = val_dataloader
