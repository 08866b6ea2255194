"""Operations with a readable PyTorch reference and a fused Triton kernel each."""

from .backend import describe_backends, use_reference
from .trilinear_splat import trilinear_splat
from .voxel_pool import voxel_pool

__all__ = ["describe_backends", "trilinear_splat", "use_reference", "voxel_pool"]
