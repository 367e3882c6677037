"""What a training run leaves on the disk while it goes on; whole at any moment it may be killed."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxrloc.files.run_folder import first_difference
from cxrloc.files.whole import whole_file
from cxrloc.types import CxrlocError, UsageError

Row = dict[str, float]
"""One line of metrics.csv: a validation, and the training since the one before."""

Parts = Mapping[str, Any]
"""Everything with a `state_dict`: network, average, optimizer, loss scaler."""


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
    return {"path": str(path), **torch.load(path, map_location="cpu", weights_only=True)}


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
    for name, part in parts.items():
        part.load_state_dict(checkpoint["parts"][name])
    return State(**checkpoint["state"])


def write_weights(path: Path, network: nn.Module) -> None:
    """The weights of one moment, to come back to."""
    _save(network.state_dict(), path)


def read_weights(path: Path, network: nn.Module) -> None:
    """Go back to the weights of that moment."""
    network.load_state_dict(torch.load(path, weights_only=True))


def _save(what: Mapping[str, Any], path: Path) -> None:
    with whole_file(path) as part:
        torch.save(what, part)
