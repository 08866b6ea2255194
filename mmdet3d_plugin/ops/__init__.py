"""Operations with a readable PyTorch reference and a fused Triton kernel each."""

from .backend import describe_backends, use_reference
from .deformable_convolution_v4 import deformable_convolution_v4
from .trilinear_splat import trilinear_splat
from .voxel_pool import voxel_pool

__all__ = ["deformable_convolution_v4", "describe_backends", "trilinear_splat", "use_reference", "voxel_pool"]
