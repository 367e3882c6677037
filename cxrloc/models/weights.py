"""Weights on disk: one safetensors file that says all that is needed to use them rightly."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.models.model import Model, ModelCard
from cxrloc.models.networks import Network, build_network
from cxrloc.models.xrv import PREFIX, read_xrv
from cxrloc.types import CxrlocError, UsageError

_EMBEDDED = Path(__file__).parent / "embedded"

MODELS = {name: _EMBEDDED / f"{name}.safetensors" for name in ("nih-small-v4", "phantom-v1")}
"""Models inside the package: name -> file."""

DEFAULT_MODEL = "nih-small-v4"
"""The model of a command that names none and is given data."""

PHANTOM_MODEL = "phantom-v1"
"""The model of a command that names none and is given no data: it is judged on phantoms."""


def write_model(
    path: Path, network: Network, preprocessing: Preprocessing, card: ModelCard
) -> None:
    """Write weights in half precision with everything that belongs to them.

    Biases and normalisation statistics (one axis; few) stay as they are, which keeps small
    variances exact.

    Raises:
        CxrlocError: the card's findings are not the network's, or a weight is not finite in
            half precision.
    """
    if card.findings != network.config.findings:
        raise CxrlocError(f"{path}: the card's findings differ from the network's outputs")
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu()
        tensors[name] = (tensor.half() if tensor.ndim > 1 else tensor).contiguous()
        if not tensors[name].isfinite().all():
            raise CxrlocError(f"{path}: weight {name} is not finite in half precision")
    metadata = {
        "config": json.dumps(dataclasses.asdict(network.config)),
        "preprocessing": json.dumps(dataclasses.asdict(preprocessing)),
        "card": json.dumps(dataclasses.asdict(card)),
    }
    unfinished = path.with_name(path.name + ".part")
    # `save_file` would let nobody else read it, whatever the umask.
    unfinished.write_bytes(safetensors.torch.save(tensors, metadata))
    unfinished.replace(path)


def read_model(name_or_path: str | Path) -> Model:
    """A model by its name in `MODELS`, from a file that `write_model` wrote, or a published one.

    Published ones are those of torchxrayvision: "xrv:NAME" (`cxrloc.models.xrv`).

    Weights are float32 in memory; the network is in evaluation mode, on the CPU.

    Raises:
        UsageError: no such name or file.
        CxrlocError: not a safetensors file of this package, or weights
            that do not fit the network it describes.
    """
    if str(name_or_path).startswith(PREFIX):
        return read_xrv(str(name_or_path))
    path = MODELS.get(str(name_or_path), Path(name_or_path))
    if not path.is_file():
        raise UsageError(
            f"{name_or_path}: neither a file nor a model of this package "
            f"({', '.join(MODELS) or 'there is none'})"
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise CxrlocError(f"{path}: not a whole safetensors file ({error})") from error
    config = _part(LocalizerConfig, "config", metadata, path)
    return Model(
        network=_filled(config, tensors, path),
        config=config,
        preprocessing=_part(Preprocessing, "preprocessing", metadata, path),
        card=_part(ModelCard, "card", metadata, path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _part(cls: type, key: str, metadata: Mapping[str, str], path: Path) -> Any:
    """One dataclass out of the file's metadata."""
    if key not in metadata:
        raise CxrlocError(
            f"{path}: its metadata has no {key!r}; only files written by cxrloc can be used"
        )
    try:
        values = json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise CxrlocError(f"{path}: {key!r} in its metadata is not JSON ({error})") from error
    return from_plain(cls, values, f"{path}: {key}")


def _filled(config: LocalizerConfig, tensors: Mapping[str, Tensor], path: Path) -> Network:
    """The network with its weights in float32; each must be there, and none be left over."""
    with torch.device("meta"):  # no memory and no random numbers for weights to be replaced
        network = build_network(config)
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CxrlocError(f"{path}: weights do not fit the network: {first}") from error
    return network.eval()
