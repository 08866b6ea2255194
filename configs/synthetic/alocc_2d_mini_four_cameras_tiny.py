"""`tools/create_data.py synthetic --layout four-cameras --preset tiny`: a few steps on an own data set."""

_base_ = [
    "../_base_/models/alocc_2d_mini_tiny.py",
    "../_base_/datasets/four_cameras.py",
    "../_base_/schedules/synthetic.py",
    "../_base_/profiles/corrected.py",
    "../_base_/runtime/default.py",
]
bev = dict(shape=(128, 128, 1))  # over the box of the labels

# No MaskLoss: it weighs classes by how often they occur, which is not known of these.
model = dict(
    network=dict(
        view_transformer=dict(grid=bev),
        temporal=dict(grid=bev),
        head=dict(context_channels=None),
    ),
    losses=[
        dict(type="VoxelCrossEntropy", weight=5.0),
        dict(type="LovaszSoftmax", weight=2.0, num_voxels=50000),
        dict(type="DepthCrossEntropy", depth_bins={{_base_.depth_bins}}),
    ],
)
train_cfg = dict(samples=4, global_batch=1, checkpoint_every=4)
evaluation = dict(metrics=("miou", "ray_iou"))
hooks = dict(log=dict(every=1))
