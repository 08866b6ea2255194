"""A few steps on features of deformable convolutions: InternImage, 16 channels wide."""
_base_ = ["alocc_2d_mini_tiny.py"]
encoder = dict(_delete_=True, type="InternImage", channels=16, depths=(1, 1, 2, 1), out_stages=(1, 2), drop_path=0.1)
model = dict(network=dict(image_encoder=dict(backbone=encoder)))  # as wide as the ResNet: the neck stays
