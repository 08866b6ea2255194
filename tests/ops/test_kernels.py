"""Triton kernels: equal to their references in the interpreter and on a GPU, compilable without a GPU."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
import torch
from kernel_process import check_kernels

pytest.importorskip("triton", reason="triton is not installed")
OPS = ("voxel_pool", "trilinear_splat")


FILE = Path(__file__).with_name("kernel_equivalence.py")


def test_kernels_match_references_in_the_interpreter():
    check_kernels(FILE, "cpu", TRITON_INTERPRET="1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_kernels_match_references_on_a_gpu():
    check_kernels(FILE, "cuda")


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
@pytest.mark.parametrize("direction", ["_forward", "_backward"])
@pytest.mark.parametrize("op", OPS)
def test_kernels_compile_for_a_gpu(op, direction):
    # bfloat16 features and float32 everything else, as under autocast, for compute capability 9.0.
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(importlib.import_module(f"mmdet3d_plugin.ops.{op}.kernel"), direction)
    constants = {"TRUNCATE": True, "DTYPE": tl.float32, "BLOCK_P": 8, "BLOCK_C": 64}
    half, single = {"context"}, {"weights", "index", "voxels", "grad_voxels", "grad_context"}
    single |= {"grad_weights", "grad_index"}
    signature = {
        name: "constexpr" if name in constants else "*bf16" if name in half else "*fp32" if name in single else "i32"
        for name in kernel.arg_names
    }
    source = ASTSource(kernel, signature, {k: v for k, v in constants.items() if k in kernel.arg_names})
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert ("red.global" in compiled.asm["ptx"]) == (direction == "_forward")
    assert len(compiled.asm["cubin"]) > 0
