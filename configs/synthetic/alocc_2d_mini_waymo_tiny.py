"""`tools/create_data.py synthetic --layout waymo --preset tiny`: a few steps on five cameras of two sizes."""

_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/occ3d_waymo.py",
    "../_base_/schedules/synthetic.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
root = "data/synthetic-waymo"
image_size = (128, 192)

# Without image semantics: there are no classes of lidar points.
model = dict(
    network=dict(head=dict(context_channels=None)),
    losses=[
        dict(type="MaskLoss", num_points=6272),
        dict(type="VoxelCrossEntropy", weight=5.0),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
    ],
)
train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        root=root,
        image=dict(size=image_size, resize=(0.0, 0.0), rotation=0.0),
        depth=dict(depth_range=(1.0, 45.0)),
        sequences_split=1,
    ),
)
val_dataloader = dict(num_workers=0, dataset=dict(root=root, image=dict(size=image_size)))
test_dataloader = val_dataloader
evaluation = dict(metrics=("miou", "ray_iou"))
train_cfg = dict(samples=4, global_batch=1, checkpoint_every=4)
hooks = dict(log=dict(every=1))
