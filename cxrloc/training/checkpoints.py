"""The files of a training run: history, checkpoint and best weights, whole at every moment."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import nn

from cxrloc.files.run_folder import first_difference
from cxrloc.files.whole import whole_file
from cxrloc.types import CxrlocError, UsageError

Row = dict[str, float]
"""One line of metrics.csv: a validation, and the training since the one before."""

Parts = Mapping[str, Any]
"""Everything with a `state_dict`: network, average, optimizer, loss scaler."""


_KEYS = {"parts", "state", "identity"}
_ANEW = "remove it, or choose another --out, and training begins anew"


@dataclass(slots=True)
class State:
    """How far a run has come. All else it depends on is in its parts' state.

    Attributes:
        step: steps done.
        loss: sum of the losses since the last validation.
        loss_terms: how many terms that sum adds up (`losses.loss_terms`).
        history: one row per validation.
    """

    step: int = 0
    loss: float = 0.0
    loss_terms: float = 0.0
    history: list[Row] = field(default_factory=list)


def write_history(path: Path, history: Sequence[Row]) -> None:
    """The validations so far as a table."""
    with whole_file(path) as part, part.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=history[-1])
        table.writeheader()
        table.writerows(history)


def write_checkpoint(path: Path, parts: Parts, state: State, identity: Mapping[str, Any]) -> None:
    """A checkpoint that replaces the last one only once it is whole.

    Args:
        path: the file.
        parts: what has a state.
        state: how far the run has come.
        identity: settings and data; a run of others does not go on from here.
    """
    whole = {
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "state": {name: getattr(state, name) for name in State.__slots__},
        "identity": dict(identity),
    }
    _save(whole, path)


def refuse_to_overwrite(path: Path, resume: bool) -> None:
    """A run begins where there is no checkpoint of another, or goes on from it.

    Raises:
        UsageError: there is one and the run is not to be resumed.
    """
    if path.exists() and not resume:
        raise UsageError(f"{path} is there: go on with it (--resume), or choose another --out")


def last_checkpoint(path: Path, resume: bool) -> dict[str, Any] | None:
    """What `write_checkpoint` wrote, on the CPU; None where there is nothing to go on from.

    Raises:
        UsageError: there is one and the run is not to be resumed.
    """
    refuse_to_overwrite(path, resume)
    if not path.exists():
        return None
    checkpoint = _load(path)
    if not checkpoint.keys() >= _KEYS:
        raise CxrlocError(f"{path}: no checkpoint of `cxrloc train`: {_ANEW}")
    return {**checkpoint, "path": str(path)}


def restore(checkpoint: Mapping[str, Any], parts: Parts, identity: Mapping[str, Any]) -> State:
    """Put every part back to where it was.

    Raises:
        CxrlocError: it is a checkpoint of other settings or other data; the message names the
            first that differs.
    """
    if found := first_difference(checkpoint["identity"], identity):
        raise CxrlocError(
            f"{checkpoint['path']}: written with other settings ({found}); go on with the former, "
            "or start in another folder"
        )
    try:
        for name, part in parts.items():
            part.load_state_dict(checkpoint["parts"][name])
        return State(**checkpoint["state"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CxrlocError(
            f"{checkpoint['path']}: does not fit the network ({reason}): {_ANEW}"
        ) from error


def write_weights(path: Path, network: nn.Module) -> None:
    """The weights of one moment, to come back to."""
    _save(network.state_dict(), path)


def read_weights(path: Path, network: nn.Module) -> None:
    """Go back to the weights of that moment, whatever device they were written from.

    Raises:
        CxrlocError: the file is not whole, or of another network.
    """
    weights = _load(path)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CxrlocError(f"{path}: weights of another network: {_ANEW}") from error


def _save(what: Mapping[str, Any], path: Path) -> None:
    with whole_file(path) as part, part.open("wb") as file:
        recorder = _Recorder(file)
        try:
            torch.save(what, cast(BinaryIO, recorder))
        except RuntimeError as error:
            # torch says nothing of a full disk but that its archive was not written.
            raise recorder.error or error from error


class _Recorder:
    """A file for `torch.save` that keeps the error of the file system, which torch hides."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Write as the file does."""
        try:
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush the file."""
        self.file.flush()


def _load(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote, on the CPU; nothing in it is executed.

    Raises:
        CxrlocError: the file is empty, cut short, or none of torch's.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of bytes that it did not write, torch raises errors of every kind
        raise CxrlocError(f"{path}: not a whole checkpoint (is it cut short?): {_ANEW}") from error
    if not isinstance(content, dict):
        raise CxrlocError(f"{path}: no checkpoint of `cxrloc train`: {_ANEW}")
    return content
