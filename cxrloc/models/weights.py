"""Weights on disk: one safetensors file with everything that is needed to use the model."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.files.structured import parse_json
from cxrloc.files.whole import whole_file
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.checkpoint_files import load_weights
from cxrloc.models.feature_distance import TypicalFeatures
from cxrloc.models.hub import PREFIX as HUB
from cxrloc.models.hub import adopt_from_hub, fetch_weights, repository_of
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.models.model import Model
from cxrloc.models.names import MODELS, unknown_model
from cxrloc.models.networks import Network, network_to_fill
from cxrloc.models.own_code import names_own_code, read_own_code
from cxrloc.models.patient_list import with_patients_beside, write_patients_beside
from cxrloc.models.xrv import PREFIX, read_xrv
from cxrloc.text import one_line

MEAN, DIRECTIONS = "typical.mean", "typical.directions"
"""Names of the tensors of `Model.typical`, beside the weights of the network."""


def write_model(
    path: Path | str,
    network: Network,
    preprocessing: Preprocessing,
    card: ModelCard,
    typical: TypicalFeatures | None = None,
    half: bool = True,
) -> None:
    """Write the weights, together with configuration, preprocessing and card.

    With `half`, the weights are written in half precision, otherwise as they are. Biases and
    normalisation statistics keep their precision, so that small variances stay exact; these tensors
    have one axis and are small. The same network and card give the same bytes. A card whose
    patients stand beside the weights gives a second file (`models.patient_list`).

    Raises:
        CxrlocError: the card's findings are not the network's, or a weight is not finite in
            half precision.
    """
    path = Path(path)
    if card.findings != network.config.findings:
        raise CxrlocError(f"{path}: the card's findings differ from the network's outputs")
    named, tensors = dict(network.state_dict()), {}
    if typical is not None:
        named |= {MEAN: typical.mean, DIRECTIONS: typical.directions}
    for name, tensor in named.items():
        tensor = tensor.detach().cpu()
        tensors[name] = (tensor.half() if half and tensor.ndim > 1 else tensor).contiguous()
        if not tensors[name].isfinite().all():
            raise CxrlocError(f"{path}: weight {name} is not finite in half precision")
    parts: dict[str, Any] = {
        "card": write_patients_beside(path, card),
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


OTHER_MODELS: tuple[tuple[Callable[[str], bool], Callable[[str], Model]], ...] = (
    (lambda name: name.startswith(PREFIX), read_xrv),
    (lambda name: name.startswith(HUB), lambda name: _read_hub(name)),
    (names_own_code, read_own_code),
)
"""Names of models that are no files: which names, and the function that reads them."""


def read_model(name_or_path: str | Path) -> Model:
    """A model by its name in `MODELS`, from a file of `write_model`, or from elsewhere.

    "hf:ORG/NAME" is a repository of Hugging Face's hub (`cxrloc.models.hub`).
    "xrv:NAME" is a published model of torchxrayvision (`cxrloc.models.xrv`); "module:function" and
    "file.py:function" are code of the user's own, which is run (`cxrloc.models.own_code`).

    Weights are float32 in memory; the network is in evaluation mode, on the CPU.

    Raises:
        UsageError: there is no such name or file.
        CxrlocError: the file is not a safetensors file of this package, its weights do not fit the
            network that it describes, or a weight is not finite.
    """
    for is_named, read in OTHER_MODELS:
        if is_named(str(name_or_path)):
            return read(str(name_or_path))
    return _read_file(MODELS.get(str(name_or_path), Path(name_or_path)), name_or_path)


def _read_hub(name: str) -> Model:
    """A model of this package on the hub, or a classifier of timm or transformers."""
    repository = repository_of(name)
    path = fetch_weights(repository)
    if path.suffix == ".safetensors" and has_card(path):
        return _read_file(path, name)
    return adopt_from_hub(repository, path)


def has_card(path: Path) -> bool:
    """Whether a safetensors file was written by this package.

    Raises:
        CxrlocError: it is no whole safetensors file.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return "card" in (file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise CxrlocError(f"{path}: not a whole safetensors file ({error})") from error


def _read_file(path: Path, name_or_path: str | Path) -> Model:
    if not path.is_file():
        raise UsageError(unknown_model(str(name_or_path)))
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, MemoryError) as error:
        raise CxrlocError(_not_a_model_file(path, str(error))) from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CxrlocError(f"{path}: weight {name} holds a value that is not finite")
    config = _part(LocalizerConfig, "config", metadata, path)
    card = _part(ModelCard, "card", metadata, path)
    mean, directions = tensors.pop(MEAN, None), tensors.pop(DIRECTIONS, None)
    typical = None
    if card.distance is not None:
        if mean is None or directions is None or directions.shape[1:] != mean.shape:
            raise CxrlocError(f"{path}: {MEAN} and {DIRECTIONS} do not fit the card's distance")
        typical = TypicalFeatures(mean.float(), directions.float())
    return Model(
        network=_filled(config, tensors, path),
        config=config,
        preprocessing=_part(Preprocessing, "preprocessing", metadata, path),
        card=with_patients_beside(path, card),
        typical=typical,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _part(cls: type, key: str, metadata: Mapping[str, str], path: Path) -> Any:
    """One dataclass, built from the metadata of the file."""
    if key not in metadata:
        raise CxrlocError(
            f"{path}: its metadata has no {key!r}, so it was not written by cxrloc: `cxrloc "
            f"adopt {path.name} --architecture NAME --findings LIST` makes a model of it"
        )
    values = parse_json(metadata[key], f"{path}: {key!r} in its metadata")
    if not isinstance(values, dict):
        raise CxrlocError(f"{path}: {key!r} in its metadata is not a table of settings")
    return from_plain(cls, values, f"{path}: {key}")


def _not_a_model_file(path: Path, error: str) -> str:
    """The message for a file that is not a whole safetensors file; it says what to do with it."""
    with path.open("rb") as file:
        start = file.read(4)
    # torch.save writes a zip archive; before version 1.6 it wrote pickles.
    if path.suffix in (".pt", ".pth", ".ckpt") or start.startswith((b"PK", b"\x80")):
        return (
            f"{path}: a checkpoint of PyTorch, which does not say what its network, findings and "
            f"preprocessing are: `cxrloc adopt {path.name} --architecture NAME --findings LIST` "
            "makes a model of it; to begin a training from these weights, `cxrloc train RECIPE "
            "--start FILE`"
        )
    if path.suffix == ".onnx":
        return f"{path}: an exported graph; only `cxrloc heatmap`, `page` and `models` take one"
    return f"{path}: not a whole safetensors file ({one_line(error, 200)})"


def _filled(config: LocalizerConfig, tensors: Mapping[str, Tensor], path: Path) -> Network:
    """The network with its weights in float32; the names of tensors and weights must agree."""
    network = network_to_fill(config)
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    load_weights(network, weights, f"{path}: weights do not fit the network")
    return network.eval()
