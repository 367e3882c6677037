"""The files of a training run: history, checkpoint and best weights; they are always complete."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from zipfile import ZipFile

import torch
from torch import nn

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.setting_difference import first_difference
from cxrloc.files.whole import whole_file

Row = dict[str, float]
"""One row of metrics.csv: one validation, and the training since the previous validation."""

Parts = Mapping[str, Any]
"""Objects with a `state_dict`, by name: network, average, optimizer, loss scaler."""


_KEYS = {"parts", "state", "identity"}
_ANEW = "remove it, or choose another --out, and training begins anew"


@dataclass(slots=True)
class State:
    """The progress of a run; the rest of its state is in the state dicts of its parts.

    Attributes:
        step: number of finished steps.
        loss: sum of the losses since the last validation.
        loss_terms: number of terms in that sum (`losses.loss_terms`).
        history: one row per validation.
    """

    step: int = 0
    loss: float = 0.0
    loss_terms: float = 0.0
    history: list[Row] = field(default_factory=list)


def write_history(path: Path, history: Sequence[Row], note: str = "") -> None:
    """Write all validations so far as a CSV table, with the note, if any, in every row."""
    notes = {"note": note} if note else {}
    with whole_file(path) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=[*history[-1], *notes])
        table.writeheader()
        table.writerows({**row, **notes} for row in history)


def write_checkpoint(path: Path, parts: Parts, state: State, identity: Mapping[str, Any]) -> None:
    """Write a checkpoint; it replaces the previous one only after it is complete.

    Args:
        path: the file.
        parts: the objects whose state is saved.
        state: the progress of the run.
        identity: settings and data; a run with other settings or data cannot be resumed from here.
    """
    whole = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "state": {name: getattr(state, name) for name in State.__slots__},
        "identity": dict(identity),
    }
    _save(whole, path)


def refuse_to_overwrite(path: Path, resume: bool) -> None:
    """Refuse a new run where there is already a checkpoint, unless the run is to be resumed.

    Raises:
        UsageError: there is a checkpoint and the run is not to be resumed.
    """
    if path.exists() and not resume:
        raise UsageError(f"{path} is there: go on with it (--resume), or choose another --out")


def last_checkpoint(path: Path, resume: bool) -> dict[str, Any] | None:
    """The last checkpoint of `write_checkpoint`, on the CPU; None if there is no checkpoint.

    Raises:
        UsageError: there is a checkpoint and the run is not to be resumed.
        CxrlocError: the file is not a complete checkpoint of `cxrloc train`.
    """
    refuse_to_overwrite(path, resume)
    if not path.exists():
        return None
    checkpoint = _load(path)
    if not all(isinstance(checkpoint.get(key), dict) for key in _KEYS):
        raise CxrlocError(f"{path}: no checkpoint of `cxrloc train`: {_ANEW}")
    return {**checkpoint, "path": str(path)}


def restore(checkpoint: Mapping[str, Any], parts: Parts, identity: Mapping[str, Any]) -> State:
    """The progress stored in a checkpoint, after the states of all parts are restored in place.

    Raises:
        CxrlocError: the checkpoint has other settings or other data, and the message names the
            first difference; or it does not fit the network.
    """
    if found := first_difference(checkpoint["identity"], identity):
        raise CxrlocError(
            f"{checkpoint['path']}: written with other settings ({found}); go on with the former, "
            "or start in another folder"
        )
    try:
        _check_numbers(checkpoint["parts"], "parts")
        for name, part in parts.items():
            part.load_state_dict(checkpoint["parts"][name])
            if isinstance(part, torch.optim.Optimizer):
                _check_optimizer(part)
        return _checked_state(checkpoint["state"])
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CxrlocError(
            f"{checkpoint['path']}: does not fit the network ({reason}): {_ANEW}"
        ) from error


def _checked_state(values: Mapping[str, Any]) -> State:
    """The progress of a run.

    Raises:
        TypeError: a value is missing, or is not what it must be.
    """
    state = State(**values)
    whole = type(state.step) is int and values.keys() == set(State.__slots__)
    sums = all(isinstance(value, int | float) for value in (state.loss, state.loss_terms))
    rows = isinstance(state.history, list) and all(
        isinstance(row, dict) and all(isinstance(value, int | float) for value in row.values())
        for row in state.history
    )
    if not (whole and sums and rows and state.step >= 0):
        raise TypeError("its progress is incomplete or not in numbers")
    _check_numbers([state.loss, state.loss_terms], "progress")
    return state


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Raise TypeError where a restored optimizer could not take a step."""
    for group in optimizer.param_groups:
        for name, default in optimizer.defaults.items():
            # A default may be a whole number (a weight decay of 0) where a setting is not, or None
            # where PyTorch chooses, so types are not compared exactly.
            for kind in (int | float, tuple):
                if isinstance(default, kind) and not isinstance(group[name], kind):
                    raise TypeError(f"{name} of the optimizer is a {type(group[name]).__name__}")
    for parameter, values in optimizer.state.items():
        tensors = (value for value in values.values() if isinstance(value, torch.Tensor))
        if any(tensor.ndim and tensor.shape != parameter.shape for tensor in tensors):
            raise TypeError("the optimizer's state has other sizes")


def _check_numbers(value: Any, name: str) -> None:
    """Raise ValueError where a number in nested values is not finite."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_numbers(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_numbers(item, name)
    elif isinstance(value, torch.Tensor | float) and not _is_finite(value):
        raise ValueError(f"{name} is not finite")


def _is_finite(value: torch.Tensor | float) -> bool:
    return bool(torch.isfinite(torch.as_tensor(value)).all())


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the current weights of a network, to be restored later by `read_weights`."""
    _save(network.state_dict(), path)


def read_weights(path: Path, network: nn.Module) -> None:
    """Restore the weights that `write_weights` wrote on any device, in place.

    Raises:
        CxrlocError: the file is not complete, or it belongs to another network.
    """
    weights = _load(path)
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError, LookupError) as error:
        raise CxrlocError(f"{path}: weights of another network: {_ANEW}") from error


def _save(what: Mapping[str, Any], path: Path) -> None:
    with whole_file(path) as part, part.open("wb") as file:
        recorder = _Recorder(file)
        try:
            torch.save(what, cast(BinaryIO, recorder))
        except RuntimeError as error:
            # For a full disk, torch reports only that its archive was not written.
            raise recorder.error or error from error


class _Recorder:
    """A file for `torch.save` that keeps the error of the file system, which torch hides."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Write the content to the file and keep an error of the file system."""
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()


def _load(path: Path) -> dict[str, Any]:
    """The content of a file written by `torch.save`, on the CPU; no code of the file is executed.

    Raises:
        CxrlocError: the file is empty, truncated, or not written by torch.
    """
    if not path.is_file():
        raise CxrlocError(f"{path}: not a regular file: {_ANEW}")
    try:
        with ZipFile(path) as archive:  # torch does not compare the checksums
            if archive.testzip() is not None:
                raise ValueError("a checksum is wrong")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # for foreign bytes, torch raises errors of every kind
        raise CxrlocError(f"{path}: not a whole checkpoint (is it cut short?): {_ANEW}") from error
    if not isinstance(content, dict):
        raise CxrlocError(f"{path}: no checkpoint of `cxrloc train`: {_ANEW}")
    return content
