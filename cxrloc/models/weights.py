"""Weights on disk: one safetensors file with everything that is needed to use the model."""

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

from cxrloc.files.structured import parse_json
from cxrloc.files.text import one_line
from cxrloc.files.whole import whole_file
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.models.model import Model, ModelCard
from cxrloc.models.networks import Network, build_network
from cxrloc.models.xrv import PREFIX, read_xrv
from cxrloc.types import CxrlocError, UsageError

_EMBEDDED = Path(__file__).parent / "embedded"

MODELS = {name: _EMBEDDED / f"{name}.safetensors" for name in ("nih-small-v4", "phantom-v1")}
"""Models that come with the package: name -> file."""

DEFAULT_MODEL = "nih-small-v4"
"""The model of a command that is given data but no model."""

PHANTOM_MODEL = "phantom-v1"
"""The model of a command that is given neither a model nor data, and therefore uses phantoms."""


def write_model(
    path: Path, network: Network, preprocessing: Preprocessing, card: ModelCard
) -> None:
    """Write the weights in half precision, together with configuration, preprocessing and card.

    Biases and normalisation statistics keep their precision, so that small variances stay exact;
    these tensors have one axis and are small. The same network and card give the same bytes.

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
    parts: dict[str, Any] = {
        "card": card,
        "config": network.config,
        "preprocessing": preprocessing,
    }
    try:
        metadata = {
            key: json.dumps(dataclasses.asdict(part), allow_nan=False)
            for key, part in parts.items()
        }
    except ValueError as error:
        raise CxrlocError(f"{path}: a number of its card or settings is not finite") from error
    content = _with_metadata(safetensors.torch.save(tensors), metadata)
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file after the metadata was added to its header.

    The metadata is added here because the library writes it in random order. The format is: 8 bytes
    with the length of the header, little-endian; the header in JSON, padded with blanks to a
    multiple of 8 bytes; the tensor data, whose offsets are counted from the start of the data
    (huggingface.co/docs/safetensors).
    """
    length = int.from_bytes(content[:8], "little")
    header = {"__metadata__": dict(metadata), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def read_model(name_or_path: str | Path) -> Model:
    """A model by its name in `MODELS`, from a file written by `write_model`, or from "xrv:NAME".

    "xrv:NAME" is a published model of torchxrayvision (`cxrloc.models.xrv`).

    Weights are float32 in memory; the network is in evaluation mode, on the CPU.

    Raises:
        UsageError: there is no such name or file.
        CxrlocError: the file is not a safetensors file of this package, its weights do not fit the
            network that it describes, or a weight is not finite.
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
    except (safetensors.SafetensorError, OSError, MemoryError) as error:
        raise CxrlocError(_say_what_it_is(path, str(error))) from error
    config = _part(LocalizerConfig, "config", metadata, path)
    return Model(
        network=_filled(config, tensors, path),
        config=config,
        preprocessing=_part(Preprocessing, "preprocessing", metadata, path),
        card=_part(ModelCard, "card", metadata, path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _part(cls: type, key: str, metadata: Mapping[str, str], path: Path) -> Any:
    """One dataclass, built from the metadata of the file."""
    if key not in metadata:
        raise CxrlocError(
            f"{path}: its metadata has no {key!r}; only files written by cxrloc can be used"
        )
    values = parse_json(metadata[key], f"{path}: {key!r} in its metadata")
    if not isinstance(values, dict):
        raise CxrlocError(f"{path}: {key!r} in its metadata is not a table of settings")
    return from_plain(cls, values, f"{path}: {key}")


def _say_what_it_is(path: Path, error: str) -> str:
    """An error message about a file that is no complete safetensors file, with advice."""
    with path.open("rb") as file:
        start = file.read(4)
    # torch.save writes a zip archive; before version 1.6 it wrote pickles.
    if path.suffix in (".pt", ".pth", ".ckpt") or start.startswith((b"PK", b"\x80")):
        return (
            f"{path}: a checkpoint of PyTorch, which does not say what its network, findings and "
            "preprocessing are: --model takes model.safetensors of `cxrloc train`; to begin a "
            "training from these weights, `cxrloc train RECIPE --start FILE`"
        )
    return f"{path}: not a whole safetensors file ({one_line(error, 200)})"


def _filled(config: LocalizerConfig, tensors: Mapping[str, Tensor], path: Path) -> Network:
    """The network with its weights in float32; the names of tensors and weights must agree."""
    with torch.device("meta"):  # no memory and no random numbers for weights to be replaced
        network = build_network(config)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CxrlocError(f"{path}: weight {name} holds a value that is not finite")
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
