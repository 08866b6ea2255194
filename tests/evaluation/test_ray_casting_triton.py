"""The ray caster for GPUs: in the interpreter, on a GPU where there is one, compilable without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from kernel_process import check_kernels

pytest.importorskip("triton", reason="triton is not installed")


FILE = Path(__file__).with_name("triton_ray_casting.py")


def test_bits_of_the_reference_in_the_interpreter():
    check_kernels(FILE, "cpu", TRITON_INTERPRET="1")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_bits_of_the_reference_on_a_gpu():
    check_kernels(FILE, "cuda")


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_compiles_for_a_gpu():
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from mmdet3d_plugin.evaluation.ray_casting_triton import _march

    constants = {"FLOOR": False, "BLOCK": 128, "BLOCK_V": 2, "MAX_STEPS": 1001}
    pointers = {"bits": "*u8", "first": "*fp32", "second": "*fp32"}
    pointers |= {"out_cell": "*i32", "out_leave": "*fp32", "out_entered": "*u8"}
    signature = {n: "constexpr" if n in constants else pointers.get(n, "i32") for n in _march.arg_names}
    compiled = triton.compile(
        ASTSource(_march, signature, constants), target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False}
    )
    assert "fma.rn.f64" not in compiled.asm["ptx"]
    assert len(compiled.asm["cubin"]) > 0
