"""The synthetic world of `tools/create_data.py synthetic`, Occ3D labels, small images for training on a CPU."""

_base_ = ["occ3d_nuscenes.py"]
root = "data/synthetic"
image_size = (128, 352)

train_dataloader = dict(
    num_workers=1,
    dataset=dict(
        root=root,
        version="v1.0-mini",
        # No resize and no rotation: within so few samples, a fixed horizon teaches more than a turned one.
        image=dict(size=image_size, resize=(0.0, 0.0), rotation=0.0),
        sequences_split=1,
    ),
)
val_dataloader = dict(num_workers=1, dataset=dict(root=root, version="v1.0-mini", image=dict(size=image_size)))
test_dataloader = val_dataloader
