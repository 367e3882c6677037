"""Models of this package from the published networks of torchxrayvision: `--model xrv:NAME`."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.extras import import_extra
from cxrloc.files.journal import content_hash
from cxrloc.findings import standard_finding
from cxrloc.images.preprocessing import Preprocessing
from cxrloc.models.card import ModelCard
from cxrloc.models.checkpoint_files import load_weights, read_checkpoint
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.model import Model

PREFIX = "xrv:"

TRAINED_ON = {
    "all": "NIH ChestX-ray14, PadChest, CheXpert, MIMIC-CXR, Google's, Open-i and RSNA's labels",
    "nih": "NIH ChestX-ray14",
    "pc": "PadChest",
    "chex": "CheXpert",
    "rsna": "RSNA Pneumonia, which are images of NIH ChestX-ray14",
    "mimic_nb": "MIMIC-CXR with NegBio's labels",
    "mimic_ch": "MIMIC-CXR with CheXpert's labels",
    "resnet50-res512-all": "PadChest, NIH ChestX-ray14, RSNA, SIIM and VinDr-CXR",
}
"""Training data of the weights, by the end of their name, from the library's documentation."""


def read_xrv(name: str) -> Model:
    """A model from a published network: `xrv:NAME`, or `xrv:NAME=FILE` for a file of weights.

    Cohen et al. 2022, TorchXRayVision. The weights come from the library's cache, or from FILE.
    They are never downloaded, and no code of the file is run. The logits are those of the network.
    The library rescales the probabilities so that its operating point is 0.5; here they are not
    rescaled, and the operating point is kept in the card.
    Departs: outputs without a name (findings that were not trained) are left out.

    Raises:
        UsageError: there are no such weights, or their file is not on this machine.
        CxrlocError: torchxrayvision is not installed, or the file does not belong to this network.
    """
    name, _, path_text = name.removeprefix(PREFIX).partition("=")
    published, cache = _library()
    known = [key for key in published if key.startswith(("densenet121-", "resnet50-"))]
    if name not in known:
        raise UsageError(f"{PREFIX}{name}: torchxrayvision has {', '.join(known)}")
    about = published[name]
    path = Path(path_text) if path_text else cache / Path(about["weights_url"]).name
    if not path.is_file():
        raise UsageError(
            f"{PREFIX}{name}: {path} is not there; fetch {about['weights_url']} to it, or name "
            f"another place: {PREFIX}{name}=FILE"
        )
    backbone = name.split("-", 1)[0]
    columns = [index for index, label in enumerate(about["labels"]) if label]
    findings = tuple(standard_finding(about["labels"][index]) for index in columns)
    config = LocalizerConfig(backbone, findings, transition_channels=0)
    return Model(
        network=_network(config, read_checkpoint(path).tensors, columns, path),
        config=config,
        preprocessing=_preprocessing(about["input_resolution"]),
        card=_card(name, about, findings, columns),
        sha256=content_hash(path),
    )


def _library() -> tuple[Mapping[str, Any], Path]:
    """The networks that torchxrayvision publishes, and the folder of its cache."""
    with warnings.catch_warnings():  # it switches all warnings off when imported
        torchxrayvision = import_extra("torchxrayvision", "zoo")
    cache = Path(torchxrayvision.utils.get_cache_dir()).expanduser()
    return torchxrayvision.models.model_urls, cache


def _preprocessing(size: int) -> Preprocessing:
    """The preprocessing of the library: the central square, resized; grey levels -1024 to 1024."""
    return Preprocessing(
        size, fit="crop", source_size=None, bit_depth=None, mean=(0.5,), std=(1 / 2048,)
    )


def _network(
    config: LocalizerConfig, weights: Mapping[str, Tensor], columns: list[int], path: Path
) -> Localizer:
    """A `Localizer` with these weights; the rows of outputs that were not trained are dropped."""
    weights_here: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if match := re.fullmatch(r"(?:classifier|fc)\.(weight|bias)", name):
            if len(tensor) <= max(columns):
                raise CxrlocError(f"{path}: {name} has {len(tensor)} outputs, not the published")
            weights_here[f"prediction.{match[1]}"] = tensor[columns]
        elif name != "op_threshs":
            weights_here[f"backbone.{name.removeprefix('features.')}"] = tensor
    with torch.device("meta"):
        network = Localizer(config)
    load_weights(network, weights_here, f"{path}: weights do not fit {config.backbone}")
    return network.eval()


def _card(
    name: str, about: Mapping[str, Any], findings: tuple[str, ...], columns: list[int]
) -> ModelCard:
    key = next(end for end in sorted(TRAINED_ON, key=len, reverse=True) if name.endswith(end))
    points = {
        finding: float(about["op_threshs"][index])
        for finding, index in zip(findings, columns, strict=True)
        if about["op_threshs"][index] == about["op_threshs"][index]  # not NaN
    }
    saw_nih = "ChestX-ray14" in TRAINED_ON[key]
    doubt = " It may have seen the boxed images of ChestX-ray14." if saw_nih else ""
    return ModelCard(
        name=PREFIX + name,
        trained_on=TRAINED_ON[key],
        findings=findings,
        views=("PA", "AP"),
        operating_points=points,
        limits=f"Published by torchxrayvision, research only.{doubt}",
        may_have_seen=("ChestX-ray14",) if saw_nih else (),
    )
