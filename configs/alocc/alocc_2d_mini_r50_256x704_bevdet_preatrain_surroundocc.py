"""ALOcc-2D-mini on SurroundOcc, one frame of 896 x 1600 pixels whatever the name says. Published: 21.5 mIoU."""
_base_ = [
    "../_base_/models/alocc_2d_mini.py",
    "../_base_/datasets/surroundocc_900x1600.py",
    "../_base_/schedules/alocc_single_frame.py",
    "../_base_/profiles/published.py",
    "../_base_/runtime/bevdet_pretrained.py",
]
model = dict(
    network=dict(
        # A13: points are placed as if the grid covered the box of Occ3D, while the labels are those of SurroundOcc.
        view_transformer=dict(lifting_box=dict(lower=(-40.0, -40.0, -1.0), upper=(40.0, 40.0, 5.4))),
        temporal=dict(_delete_=True, type="NoFusion"),
    ),
)
train_dataloader = dict(dataset=dict(depth=dict(semantics=True, depth_range=(1.0, 45.0)), sequences_split=None))
hooks = dict(denoising=dict(end=768480))  # beyond the end of the training, as published
