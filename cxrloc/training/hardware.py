"""How an accelerator computes: fast arithmetic by default, or the same numbers in every run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from cxrloc.errors import CxrlocError

CUBLAS_WORKSPACE = ":4096:8"
"""The workspace with which cuBLAS adds in a fixed order (its manual, Results reproducibility)."""


@dataclass(frozen=True, slots=True)
class HardwareConfig:
    """How a CUDA GPU computes; on other devices only `compile` changes anything.

    These settings do not identify a run, so it may be resumed with other values or other hardware.

    Attributes:
        tf32: products of float32 matrices are computed in TensorFloat-32, with 10 bits of mantissa.
        cudnn_benchmark: the fastest algorithm of each convolution is measured at its first use.
        fused: the optimizer moves all weights in one kernel.
        compile: the network is compiled by `torch.compile` before the first step.
    """

    tf32: bool = True
    cudnn_benchmark: bool = True
    fused: bool = True
    compile: bool = False


def precision_warnings(precision: str, device: torch.device) -> list[str]:
    """Warn of bfloat16 on a processor with AVX2 alone, which emulates it many times slower.

    The instructions for bfloat16 came after AVX-512 (Intel's "Deep Learning Boost", AMD's Zen 4).

    Args:
        precision: of the forward and backward passes.
        device: the device of the network.
    """
    emulated = torch.backends.cpu.get_cpu_capability() == "AVX2"
    if precision != "bf16" or device.type != "cpu" or not emulated:
        return []
    return ["this processor only emulates bf16: --precision fp32 may be ten times faster"]


@contextmanager
def computing(
    config: HardwareConfig, device: torch.device, deterministic: bool = False
) -> Iterator[None]:
    """Apply the settings of a GPU in the block and restore the former settings afterwards.

    Args:
        config: how a GPU computes.
        device: the device of the network.
        deterministic: whether the same run on the same device must give bit-identical weights.

    Raises:
        CxrlocError: an operation has no deterministic implementation; the message names it.
    """
    cudnn, before = torch.backends.cudnn, torch.get_float32_matmul_precision()
    benchmark, tf32 = cudnn.benchmark, cudnn.allow_tf32
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
        torch.use_deterministic_algorithms(True)
    if device.type == "cuda":
        cudnn.benchmark = config.cudnn_benchmark and not deterministic
        cudnn.allow_tf32 = config.tf32
        torch.set_float32_matmul_precision("high" if config.tf32 else "highest")
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        operation = str(error).split()[0]
        raise CxrlocError(
            f"--deterministic: {operation} has no deterministic implementation on {device.type}: "
            "leave the option out, or train on a CPU"
        ) from error
    finally:
        torch.use_deterministic_algorithms(was_deterministic)
        if device.type == "cuda":
            cudnn.benchmark, cudnn.allow_tf32 = benchmark, tf32
            torch.set_float32_matmul_precision(before)
