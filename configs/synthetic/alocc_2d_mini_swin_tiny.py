"""A few steps with a small Swin Transformer, whose windows are shifted, and learning rates that fall with depth."""
_base_ = ["alocc_2d_mini_tiny.py"]

model = dict(
    network=dict(
        image_encoder=dict(
            backbone=dict(
                _delete_=True,
                type="SwinTransformer",
                channels=32,
                depths=(2, 2, 2, 2),
                window=8,
                out_stages=(1, 2),
                drop_path=0.1,
            ),
            neck=dict(in_channels=(64, 128)),
        )
    )
)
optim_wrapper = dict(constructor="LayerDecay", paramwise_cfg=dict(decay=0.9))
