"""Weights on disk: one safetensors file that says all that is needed to use them rightly."""

import dataclasses
import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import torchvision
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.dualnet import DualNet
from cxrloc.models.localizer import LocalizerConfig
from cxrloc.models.metadata import from_plain
from cxrloc.models.networks import Network, build_network
from cxrloc.models.probabilities import PROBABILITIES
from cxrloc.models.zoo import TIMM_NAMES, timm_network
from cxrloc.types import CxrlocError, UsageError

_EMBEDDED = Path(__file__).parent / "embedded"

MODELS = {name: _EMBEDDED / f"{name}.safetensors" for name in ("nih-small-v4", "phantom-v1")}
"""Models inside the package: name -> file."""

DEFAULT_MODEL = "nih-small-v4"
"""The model of a command that names none and is given data."""

PHANTOM_MODEL = "phantom-v1"
"""The model of a command that names none and is given no data: it is judged on phantoms."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where a model comes from and what it is good for.

    Attributes:
        name: as printed in every output.
        trained_on: data set and number of images, in words.
        findings: names of the outputs, in order.
        probabilities: how logits become probabilities, a name of `PROBABILITIES`.
        views: projections among the training images (`View` values); others give a warning.
        operating_points: probability from which a finding counts as present.
        auc: area under the ROC curve of a finding on the validation images.
        training_patients: `hashed_patient` of everyone whose image trained it.
        validation_patients: of everyone whose image trained nothing, but chose the weights and
            operating points and gave the AUC; empty where it is not known who did.
        training_images: how many images did.
        limits: one sentence for every picture.
        recipe: the TOML text it was trained by.
        may_have_seen: data sets ("ChestX-ray14") of which any image may have trained it, where
            `training_patients` does not say.
        provenance: hashes of split and training data, seed, versions of packages.

    Raises:
        CxrlocError: there are no such probabilities.
    """

    name: str
    trained_on: str
    findings: tuple[str, ...]
    views: tuple[str, ...] = ()
    operating_points: Mapping[str, float] = field(default_factory=dict)
    auc: Mapping[str, float] = field(default_factory=dict)
    training_patients: tuple[str, ...] = ()
    validation_patients: tuple[str, ...] = ()
    training_images: int = 0
    limits: str = ""
    recipe: str = ""
    may_have_seen: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    probabilities: str = "sigmoid"

    def __post_init__(self) -> None:
        if self.probabilities not in PROBABILITIES:
            raise CxrlocError(
                f"probabilities {self.probabilities!r}: choose one of {', '.join(PROBABILITIES)}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with what belongs to its weights.

    Attributes:
        network: one of `networks.NETWORKS` in evaluation mode, or one's own `LocalizingNetwork`.
        config: what the network was built from; None for one's own network.
        preprocessing: how it wants its images.
        card: origin, findings, views, limits.
        sha256: of the file, in hexadecimal; empty for one's own network.
    """

    network: nn.Module
    config: LocalizerConfig | None
    preprocessing: Preprocessing
    card: ModelCard
    sha256: str = ""

    def probabilities(
        self, logits: Float[Tensor, "image finding"]
    ) -> Float[Tensor, "image finding"]:
        """Of all findings, in the order of the card's."""
        return PROBABILITIES[self.card.probabilities](logits)


def hashed_patient(patient_id: str) -> str:
    """A patient's id as weights carry it: enough to recognise, not to read.

    >>> hashed_patient("00000032")
    'd6163f2399e9f31e'
    """
    return hashlib.sha256(f"cxrloc training patient {patient_id}".encode()).hexdigest()[:16]


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
    if str(name_or_path).startswith("xrv:"):
        from cxrloc.models.xrv import read_xrv  # which needs this module

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


def start_from_imagenet(network: Network, file: Path | None = None) -> None:
    """Give the backbone weights trained on ImageNet, in place; a DualNet's both backbones.

    How they want their images is the caller's to say: `Preprocessing` with mean (0.485, 0.456,
    0.406) and std (0.229, 0.224, 0.225) for torchvision's own; mean and std 0.5 for timm's, and
    with `same_padding` for those converted from TensorFlow, which saw [-1, 1].

    Args:
        network: its backbone is filled; with one input channel, the first convolution gets the
            sum over red, green and blue.
        file: weights under torchvision's names, safetensors or a `torch.save`d state dict
            (read without executing anything); None: torchvision's own (IMAGENET1K_V1) or timm's,
            from their cache or the network.

    Raises:
        CxrlocError: the file or the download cannot be had, or does not fit the backbone, or
            torchvision's own weights meet a backbone that pads as TensorFlow does.
    """
    name = network.config.backbone
    if file is None and network.config.same_padding:
        raise CxrlocError(
            f"torchvision's weights of {name} were not trained with same_padding: leave it out, "
            "or name a file of weights that were"
        )
    source = file or f"torchvision's weights of {name}"
    trunks = (network.frontal, network.lateral) if isinstance(network, DualNet) else (network,)
    given = {key.removeprefix("features."): tensor for key, tensor in _imagenet(name, file).items()}
    for trunk in trunks:
        _fill_backbone(trunk.backbone, given, f"{source}: no weights for {name}")


def _fill_backbone(backbone: nn.Module, given: Mapping[str, Tensor], complaint: str) -> None:
    """Copy a classifier's weights, its first convolution summed where the backbone reads grey."""
    own = backbone.state_dict()
    first = next(iter(own))
    for key, tensor in own.items():
        if key.endswith("num_batches_tracked"):
            continue
        new = given.get(key)
        if new is not None and key == first and tensor.shape[1] == 1:
            new = new.sum(dim=1, keepdim=True)
        if new is None or new.shape != tensor.shape:
            found = "nothing" if new is None else tuple(new.shape)
            raise CxrlocError(f"{complaint}: {key} must be {tuple(tensor.shape)}, found {found}")
        tensor.copy_(new)


def _imagenet(backbone: str, file: Path | None) -> Mapping[str, Tensor]:
    """A whole classifier's state dict."""
    try:
        if file is None and backbone in TIMM_NAMES:
            return timm_network(backbone, pretrained=True).state_dict()
        if file is None:
            name = backbone.removesuffix("_large")
            if name not in torchvision.models.list_models():
                raise CxrlocError(
                    f"imagenet: nobody published ImageNet weights of {backbone}: start from "
                    "scratch, or from a file of weights"
                )
            return torchvision.models.get_model(name, weights="IMAGENET1K_V1").state_dict()
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CxrlocError(
            f"{file or backbone}: ImageNet weights not to be had ({error}): name a file of them, "
            "--start FILE, or begin without, --start scratch"
        ) from error
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CxrlocError(f"{file or backbone}: not a file of weights ({reason})") from error
