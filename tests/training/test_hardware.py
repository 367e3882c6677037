"""The promises about computing on a GPU, as far as they can be tested on a CPU."""

import pytest
import torch

from cxrloc.errors import CxrlocError
from cxrloc.training.hardware import HardwareConfig, computing, precision_warnings

CPU = torch.device("cpu")


def test_deterministic_lasts_as_long_as_the_run() -> None:
    with computing(HardwareConfig(), CPU, deterministic=True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_that_cannot_be_deterministic_is_named() -> None:
    """The words are PyTorch's own; on a CPU every operation of ours has such an implementation."""
    with (
        pytest.raises(CxrlocError, match="--deterministic: put_ has no deterministic implementati"),
        computing(HardwareConfig(), CPU, deterministic=True),
    ):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), computing(HardwareConfig(), CPU):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_a_gpus_settings_are_set_and_put_back() -> None:
    """They are switches of PyTorch that need no GPU."""
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.allow_tf32
    with computing(HardwareConfig(), torch.device("cuda", 0)):
        assert torch.get_float32_matmul_precision() == "high"
        assert cudnn.benchmark
    with computing(HardwareConfig(tf32=False), torch.device("cuda", 0), deterministic=True):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not cudnn.benchmark
    assert (torch.get_float32_matmul_precision(), cudnn.benchmark, cudnn.allow_tf32) == before


@pytest.mark.parametrize(
    ("processor", "precision", "device", "warned"),
    [
        ("AVX2", "bf16", CPU, True),
        ("AVX512", "bf16", CPU, False),
        ("AVX2", "fp32", CPU, False),
        ("AVX2", "bf16", torch.device("cuda", 0), False),
    ],
)
def test_bf16_on_a_processor_that_emulates_it_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
    processor: str,
    precision: str,
    device: torch.device,
    warned: bool,
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    assert bool(precision_warnings(precision, device)) is warned
