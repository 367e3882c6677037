"""Presets of `cxrloc adopt`: published networks, and how their images were prepared."""

from dataclasses import dataclass

from cxrloc.findings import CHESTXRAY14
from cxrloc.images.preprocessing import Preprocessing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

NIH = ("ChestX-ray14",)

FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Effusion")
"""Findings of jfhealthcare's networks, in the order of their heads."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known about published weights; options of the command line replace it.

    Attributes:
        preprocessing: how the images were prepared.
        about: one line for the list of presets.
        architecture: as in `Adoption`; empty where the weights may be of any.
        findings: names of the outputs, in order; empty where they differ.
        pooling: as in `Adoption`.
        without: as in `Adoption`.
        trained_on: data set, in words.
        may_have_seen: data sets any image of which may have been used in training.
        views: projections among the training images.
        licence: licence of the weights, as their authors give it.
        source: where the weights are published.
        limits: what differs from the authors' own program.
        probabilities: how logits become probabilities.
    """

    preprocessing: Preprocessing
    about: str
    architecture: str = ""
    findings: tuple[str, ...] = ()
    pooling: str = ""
    without: tuple[str, ...] = ()
    trained_on: str = ""
    may_have_seen: tuple[str, ...] = ()
    views: tuple[str, ...] = ("PA", "AP")
    licence: str = ""
    source: str = ""
    limits: str = ""
    probabilities: str = "sigmoid"


def _rgb(size: int, **settings: int | str | None) -> Preprocessing:
    """Three equal channels, normalised as the networks of torchvision and timm expect."""
    return Preprocessing(size, mean=IMAGENET_MEAN, std=IMAGENET_STD, **settings)  # type: ignore[arg-type]


_AS_SHOWN = {"source_size": None, "bit_depth": 8}
_XRV = Preprocessing(224, "crop", source_size=None, bit_depth=None, mean=(0.5,), std=(1 / 2048,))

PRESETS: dict[str, Preset] = {
    "imagenet": Preset(
        _rgb(224, fit="crop", crop_from=256, **_AS_SHOWN),
        "the middle 224 of 256 pixels, RGB, as torchvision's and timm's networks read images",
    ),
    "imagenet-squash": Preset(
        _rgb(224, fit="squash", **_AS_SHOWN),
        "the whole image squashed to 224 x 224, RGB",
    ),
    "nih-8bit": Preset(
        _rgb(224),
        "ChestX-ray14's own 1024 x 1024 PNG of 8 bit, squashed to 224 x 224, RGB",
        trained_on="ChestX-ray14",
        may_have_seen=NIH,
    ),
    "torchxrayvision": Preset(
        _XRV, "the central square at 224 x 224, one channel, grey levels from -1024 to 1024"
    ),
    "chexnet": Preset(
        _rgb(224, crop_from=256),
        "arnoweng/CheXNet, model.pth.tar",
        architecture="densenet121",
        findings=CHESTXRAY14,
        trained_on="ChestX-ray14",
        may_have_seen=NIH,
        source="github.com/arnoweng/CheXNet",
        limits="The authors average ten crops; here is the central one.",
    ),
    "zoogzog": Preset(
        _rgb(224, crop_from=256),
        "zoogzog/chexnet, m-*.pth.tar",
        architecture="densenet121",
        findings=CHESTXRAY14,
        trained_on="ChestX-ray14",
        may_have_seen=NIH,
        source="github.com/zoogzog/chexnet",
        limits="The authors average ten crops; here is the central one.",
    ),
    "reproduce-chexnet": Preset(
        _rgb(224),
        "jrzech/reproduce-chexnet, checkpoint",
        architecture="densenet121",
        findings=CHESTXRAY14,
        trained_on="ChestX-ray14",
        may_have_seen=NIH,
        licence="BSD-3-Clause",
        source="github.com/jrzech/reproduce-chexnet",
    ),
    "jfhealthcare": Preset(
        Preprocessing(
            512, "letterbox", source_size=None, mean=(128 / 255,) * 3, std=(64 / 255,) * 3
        ),
        "jfhealthcare/Chexpert with PCAM pooling and no attention map, best*.ckpt",
        architecture="densenet121",
        findings=FIVE,
        pooling="pcam",
        # Its program writes these layers always, and uses them only with fc_bn or an attention map.
        without=("bn_[0-9]*", "attention_map.*"),
        trained_on="CheXpert",
        licence="Apache-2.0",
        source="github.com/jfhealthcare/Chexpert",
        limits="The authors equalise the histogram, blur the image, and put the margin at its "
        "right and bottom; here it is in neither way changed and lies in the middle. Weights with "
        "fc_bn or an attention map (config.json) have other logits.",
    ),
    "chexpert": Preset(
        Preprocessing(320, "squash", source_size=None, mean=(0.5,), std=(0.25,)),
        "a DenseNet-121 of Irvin et al. 2019, iter_*.pth.tar, with its findings named",
        architecture="densenet121",
        trained_on="CheXpert",
        source="arxiv.org/abs/1901.07031",
        limits="Grey levels as torchxrayvision prepares them for these networks.",
    ),
    "xrv-view": Preset(
        _rgb(224, fit="crop", **_AS_SHOWN),
        "torchxrayvision's baseline model xinario, frontal or lateral view",
        architecture="resnet50",
        findings=("Frontal", "Lateral", *("-",) * 998),
        views=("PA", "AP", "LATERAL"),
        probabilities="softmax",
        source="github.com/xinario/chestViewSplit",
    ),
    "xrv-sex": Preset(
        Preprocessing(
            224, "crop", source_size=None, bit_depth=None, mean=(0.0,) * 3, std=(1 / 255,) * 3
        ),
        "torchxrayvision's baseline model mira, patient's sex",
        architecture="resnet34",
        findings=("Sex M", "Sex F"),
        probabilities="softmax",
        trained_on="CheXpert",
        source="github.com/biomedia-mira/chexploration",
    ),
    # Size, mean and standard deviation: the preprocessor_config.json beside the weights.
    "rad-dino": Preset(
        Preprocessing(518, "crop", source_size=None, mean=(0.5307,) * 3, std=(0.2583,) * 3),
        "a linear probe on microsoft/rad-dino: its backbone and the probe, with findings named",
        architecture="timm:vit_base_patch14_dinov2",
        without=("mask_token",),  # of its training
        trained_on="a linear layer on RAD-DINO, which saw MIMIC-CXR, CheXpert, ChestX-ray14, "
        "PadChest and BRAX",
        may_have_seen=NIH,
        licence="MIT; earlier copies: MSRLA (research only)",
        source="huggingface.co/microsoft/rad-dino",
    ),
}
"""Presets by name. Those without an architecture say only how images are prepared."""
