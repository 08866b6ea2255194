"""The worked example of an own data set (docs/data.md): four cameras of unequal sizes, a grid of its own."""

custom_imports = dict(imports=["mmdet3d_plugin.datasets.four_cameras"])
grid = dict(lower=(-25.6, -25.6, -1.0), upper=(25.6, 25.6, 5.4), shape=(128, 128, 16))
label_space = "Street"
image_size = (128, 224)

train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        type="FourCameraDataset",
        root="data/synthetic-four-cameras",
        split="train",
        mode="train",
        labels=dict(type="StreetLabels", grid=grid),
        image=dict(type="ImagePipeline", size=image_size, resize=(-0.03, 0.05), flip=0.5),
        scene=dict(type="SceneAugmentation", flip_x=0.5, flip_y=0.5),
        depth=dict(type="DepthMaps", depth_range=(1.0, 45.0)),
    ),
)
val_dataloader = dict(
    num_workers=0,
    dataset=dict(
        type="FourCameraDataset",
        root="data/synthetic-four-cameras",
        split="val",
        mode="evaluate",
        labels=dict(type="StreetLabels", grid=grid),
        image=dict(type="ImagePipeline", size=image_size),
    ),
)
test_dataloader = val_dataloader
