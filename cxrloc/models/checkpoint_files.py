"""The weights in files of any training program: safetensors, or whatever `torch.save` wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.models.inert_pickle import read_pickle
from cxrloc.text import one_line

PREFERRED = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema",
)
"""Keys under which programs store the weights; earlier ones are taken before later ones."""

NO_WEIGHTS = ("optim", "lr_sched", "scheduler", "scaler", "callbacks", "loops", "rng", "amp")
"""How the keys begin under which programs store other tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The weights of a file.

    Attributes:
        tensors: weights by their name in the file.
        key: where they were in the file, such as "state_dict"; empty: at its top.
        others: other places in the file where weights are.
    """

    tensors: Mapping[str, Tensor]
    key: str = ""
    others: tuple[str, ...] = ()


def read_checkpoint(path: Path, key: str = "") -> Checkpoint:
    """The weights in a file. Nothing of the file is executed.

    Files of `torch.save` are read by torch's own safe reader (`weights_only=True`), and where that
    refuses them, because they hold a whole network or settings, by `inert_pickle`.

    Args:
        path: safetensors, or a file of `torch.save` (.pt, .pth, .pth.tar, .ckpt, .bin).
        key: where in the file the weights are, such as "ema"; empty: by `PREFERRED`.

    Raises:
        UsageError: the file does not exist, or has no weights under this key.
        CxrlocError: the file holds no weights, or cannot be read safely.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with path.open("rb") as file:
        is_safetensors = path.suffix == ".safetensors" or file.read(9)[8:] == b"{"
    found = dict(_state_dicts(_safetensors(path) if is_safetensors else _pickled(path)))
    if not found:
        raise CxrlocError(f"{path}: it holds no tensors by name: save network.state_dict()")
    if key and key not in found:
        raise UsageError(f"--key {key}: {path} has weights under {_listed(found)}")
    chosen = key or min(found, key=_rank)
    others = tuple(name for name in found if name != chosen)
    return Checkpoint(found[chosen], chosen, others)


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, MemoryError) as error:
        reason = one_line(str(error), 200)
        raise CxrlocError(f"{path}: not a whole safetensors file ({reason})") from error


def _pickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises errors of many kinds on damaged files
        return read_pickle(path)


def _state_dicts(content: Any, where: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yields the mappings from names to weights in a file, with their keys joined by dots."""
    if not isinstance(content, Mapping):
        return
    named = {str(name): value for name, value in content.items() if isinstance(name, str)}
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    # Other tensors, such as losses and states of optimisers, have names of one word.
    if any(tensor.is_floating_point() and _is_weight(name) for name, tensor in tensors.items()):
        yield where, tensors
    for name, value in named.items():
        if not name.lower().startswith(NO_WEIGHTS):
            yield from _state_dicts(value, f"{where}.{name}" if where else name)


def _is_weight(name: str) -> bool:
    return "." in name or name in ("weight", "bias")


def _rank(key: str) -> tuple[int, int]:
    if not key:
        return -1, 0
    last = key.rpartition(".")[2]
    return PREFERRED.index(last) if last in PREFERRED else len(PREFERRED), key.count(".")


def _listed(found: Mapping[str, Any]) -> str:
    return ", ".join(name or "(its top)" for name in found)


def load_weights(
    network: nn.Module, weights: Mapping[str, Tensor], refusal: str, assign: bool = True
) -> None:
    """Give a network its weights; all names and shapes must agree.

    Args:
        network: the network.
        weights: tensors by the names of the network's parameters and buffers.
        refusal: the message of the error, to which the first difference is added.
        assign: use these tensors themselves, as a network without memory needs; otherwise copy.

    Raises:
        CxrlocError: a name or a shape differs.
    """
    try:
        network.load_state_dict(weights, assign=assign)
    except RuntimeError as error:
        # The first line of torch's message names the class alone.
        difference = str(error).splitlines()[1].strip()
        raise CxrlocError(f"{refusal}: {difference}") from error
