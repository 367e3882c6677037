"""The network of Wang et al. 2017: backbone, transition layer, global pooling, prediction layer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.errors import CxrlocError
from cxrloc.findings import standard_findings
from cxrloc.models.decoders import CHANNELS, DECODERS
from cxrloc.models.grid import (
    cell_shift_pixels,
    pad_as_tensorflow,
    set_input_channels,
    set_output_stride,
)
from cxrloc.models.heads import HEADS, prediction_layer
from cxrloc.models.library_backbones import TimmBackbone, find_backbone
from cxrloc.models.pooling import (
    OF_FEATURES_ALONE,
    OF_LOGITS_ALONE,
    POOLINGS,
    Pool,
    PoolingParameters,
    completed_parameters,
)
from cxrloc.models.pyramid import pyramid_of

OUTPUT_STRIDES = (8, 16, 32, 64, 128)

DECODED_STRIDES = (4, 8)
"""Strides of the grids that decoders give."""


@dataclass(frozen=True, slots=True)
class LocalizerConfig:
    """The configuration from which a network is built.

    Attributes:
        backbone: a name of `BACKBONES`, or a network of a library: "torchvision:NAME", "timm:NAME".
        findings: names of the outputs, in order; kept in their standard spelling
            (`findings.standard_finding`).
        input_channels: 1 (grey) or 3.
        output_stride: input pixels per cell of the S x S grid: 8, 16, 32, 64 or 128, or that of the
            backbone; with a decoder 4 or 8.
        transition_channels: depth D of the transition layer; None: the backbone's own depth;
            0: no transition layer, for networks other than Wang's. With a decoder: its channels;
            None: 128.
        decoder: a name of `DECODERS`, which takes the place of the transition layer; empty: none.
        pooling: a name of `POOLINGS`.
        pooling_parameters: parameters of that pooling.
        head: a name of `HEADS`: the pooling comes before or after the prediction.
        maps_per_finding: number of maps whose mean is the map of a finding (`MeanOfMaps`).
        same_padding: strided convolutions use TensorFlow's "SAME" padding (`grid.SamePadded`), for
            weights that were trained with it.
        architecture: a name of `networks.NETWORKS`: "localizer" (an image), "dualnet" (a frontal
            and a lateral image), "meta" (an image, age, sex and view).
        centred_cells: number of rows, and of columns, of the mean features that are subtracted from
            the features (`centring.centre`); 0: the features are not centred.
        class_token: the class token of a transformer of timm is put beside the features of every
            cell, for weights whose prediction reads it. Its part of a map is the same in all cells.

    Raises:
        CxrlocError: a value is not one of those. An unknown architecture is refused by
            `build_network` instead.
    """

    backbone: str
    findings: tuple[str, ...]
    input_channels: int = 1
    output_stride: int = 32
    transition_channels: int | None = None
    decoder: str = ""
    pooling: str = "average"
    pooling_parameters: PoolingParameters = field(default_factory=PoolingParameters)
    head: str = "pool_then_predict"
    maps_per_finding: int = 1
    same_padding: bool = False
    architecture: str = "localizer"
    centred_cells: int = 0
    class_token: bool = False

    def __post_init__(self) -> None:
        backbone = find_backbone(self.backbone)
        native = backbone.native_stride
        for what, value, known in (
            ("pooling", self.pooling, POOLINGS),
            ("head", self.head, HEADS),
            ("decoder", self.decoder, ("", *DECODERS)),
            ("output_stride", self.output_stride, self._strides(native)),
            ("input_channels", self.input_channels, (1, 3)),
        ):
            if value not in known:
                choice = ", ".join(str(each) for each in known if each != "")
                raise CxrlocError(f"{what} {value!r} is unknown: choose one of {choice}")
        if not self.findings:
            raise CxrlocError("has no findings: name at least one")
        object.__setattr__(self, "findings", standard_findings(self.findings))
        completed_parameters(self.pooling, self.pooling_parameters)
        if self.pooling in OF_LOGITS_ALONE and self.head == "pool_then_predict":
            raise CxrlocError(
                f'pooling {self.pooling!r} is of logits: it needs head = "predict_then_pool"'
            )
        if self.pooling in OF_FEATURES_ALONE and self.head == "predict_then_pool":
            raise CxrlocError(f"pooling {self.pooling!r} is of features, not of logits")
        if self.head == "predict_then_pool" and self.architecture == "dualnet":
            raise CxrlocError(
                "head 'predict_then_pool': not for the architecture dualnet, whose two views have "
                "no cells in common"
            )
        if self.maps_per_finding < 1:
            raise CxrlocError(f"maps_per_finding must be at least 1, got {self.maps_per_finding}")
        if self.centred_cells and self.architecture != "localizer":
            raise CxrlocError(f"centred_cells: not for the architecture {self.architecture}")
        if self.centred_cells < 0 or (self.centred_cells and self.pooling != "average"):
            raise CxrlocError(
                f"centred_cells {self.centred_cells}: 0 or more, with average pooling alone"
            )
        if self.class_token and not self.backbone.startswith("timm:"):
            raise CxrlocError(f"class_token: {self.backbone} is no transformer of timm")
        if self.output_stride % native and self.output_stride > native:
            raise CxrlocError(
                f"output_stride {self.output_stride} is no multiple of {native}, the stride of "
                f"{self.backbone}"
            )
        if self.output_stride > native and self.transition_channels == 0:
            raise CxrlocError(f"output_stride {self.output_stride} needs a transition layer")
        if self.decoder:
            if self.transition_channels == 0:
                raise CxrlocError("transition_channels 0: a decoder has at least 1 channel")
        elif self.output_stride < native and not backbone.has_refinable_grid:
            raise CxrlocError(
                f"output_stride {self.output_stride}: the grid of {self.backbone} cannot be made "
                f"finer than {native}"
            )

    def _strides(self, native: int) -> Sequence[int]:
        """The possible output strides."""
        return DECODED_STRIDES if self.decoder else sorted({*OUTPUT_STRIDES, native})


@runtime_checkable
class LocalizingNetwork(Protocol):
    """The interface that cxrloc needs from a network; a user's own `nn.Module` may implement it.

    `forward` returns the logits and the features from which they are computed. The logits equal
    `head(features)`, or `prediction(pool(features))` if the network has no method `head`
    (`heads.logits_of_features`). The weights of `prediction` give the class activation maps.
    """

    prediction: nn.Linear

    def __call__(self, images: Tensor, /) -> tuple[Tensor, Tensor]:
        """[batch channel row col] -> [batch finding], [batch depth row col]."""


class Trunk(nn.Module):
    """Backbone and transition layer, or decoder: all layers of a network before its pooling.

    Attributes:
        backbone: the backbone, with the name, stride and padding of the configuration.
        transition: the transition layer, the decoder, or the identity.
        depth: number of output channels.
        cell_shift_pixels: distance from the centre of a cell to the centre of the receptive field
            of its feature, to the right and downwards, in pixels of the input.
    """

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        backbone = find_backbone(config.backbone)
        self.backbone = backbone.build()
        if config.class_token:
            cast(TimmBackbone, self.backbone).add_class_token()
        set_input_channels(self.backbone, config.input_channels)
        if config.same_padding:
            pad_as_tensorflow(self.backbone)
        if config.decoder:
            self.backbone = pyramid_of(config.backbone, self.backbone)
            self.depth = config.transition_channels or CHANNELS
            self.transition: nn.Module = DECODERS[config.decoder](
                self.backbone.levels, config.output_stride, self.depth
            )
            shift: float | None = self.transition.cell_shift_pixels
        else:
            if config.output_stride < backbone.native_stride:
                set_output_stride(self.backbone, config.output_stride)
            depth = _depth(self.backbone)
            self.transition = _transition(depth, config)
            self.depth = (
                depth if config.transition_channels == 0 else config.transition_channels or depth
            )
            shift = backbone.cell_shift_pixels
        self.cell_shift_pixels = cell_shift_pixels(self) if shift is None else shift

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch depth feature_row feature_col"]:
        """The features behind all logits."""
        return self.transition(self.backbone(images))


class Localizer(nn.Module):
    """Backbone -> transition layer -> global pooling -> prediction layer.

    Wang et al. 2017, section 3 and Fig. 4. The paper says about the transition layer only that its
    output is S x S x D; Open: here it is a 1 x 1 convolution, batch normalisation and ReLU, after
    an average pooling if the grid must be coarser than that of the backbone.

    Attributes:
        config: the configuration that the network was built from.
        prediction: the linear layer.
        usual: mean features at each position, which are subtracted from the features; None: the
            features are not centred.
        cell_shift_pixels: distance from the centre of a cell to the centre of the receptive field
            of its feature, to the right and downwards, in pixels of the input.

    >>> config = LocalizerConfig("resnet18", ("Mass", "Nodule"), output_stride=16)
    >>> logits, features = Localizer(config).eval()(torch.zeros(1, 1, 256, 256))
    >>> logits.shape, features.shape
    (torch.Size([1, 2]), torch.Size([1, 512, 16, 16]))
    """

    def __init__(self, config: LocalizerConfig) -> None:
        super().__init__()
        self.config = config
        trunk = Trunk(config)
        self.backbone, self.transition = trunk.backbone, trunk.transition
        self.cell_shift_pixels = trunk.cell_shift_pixels
        self.pool, self.prediction = pool_and_prediction(config, trunk.depth)
        cells = config.centred_cells
        self.register_buffer("usual", torch.zeros(trunk.depth, cells, cells) if cells else None)

    @property
    def trunks(self) -> dict[str, nn.Module]:
        """The part before the pooling, by the input that it reads; it is the network itself.

        A caller uses the attributes `backbone` and `transition` of this module.
        """
        return {"image": self}

    def forward(
        self, images: Float[Tensor, "batch channel row col"]
    ) -> tuple[
        Float[Tensor, "batch finding"], Float[Tensor, "batch depth feature_row feature_col"]
    ]:
        """Logits of all findings, and the features behind them, in one pass."""
        features = self.transition(self.backbone(images))  # batch depth S S
        if self.usual is not None:
            if features.shape[1:] != self.usual.shape:
                raise CxrlocError(
                    f"centred features are of a grid of {self.config.centred_cells} x "
                    f"{self.config.centred_cells} cells, not {features.shape[2]} x "
                    f"{features.shape[3]}: give images of the size the network was centred for"
                )
            features = features - self.usual
        return self.head(features), features

    def head(
        self, features: Float[Tensor, "batch depth feature_row feature_col"]
    ) -> Float[Tensor, "batch finding"]:
        """The logits of features."""
        return HEADS[self.config.head](self.pool, self.prediction, features)


def pool_and_prediction(config: LocalizerConfig, depth: int) -> tuple[Pool, Any]:
    """The pooling and the prediction layer of a config, for features of this depth."""
    findings = len(config.findings)
    channels = depth if config.head == "pool_then_predict" else findings
    pool = Pool(config.pooling, config.pooling_parameters, channels)
    return pool, prediction_layer(depth, findings, config.maps_per_finding)


def _depth(layers: nn.Module) -> int:
    """The number of output channels: known, or measured with a blank image."""
    if isinstance(layers, TimmBackbone):
        return layers.depth
    first = next(layer for layer in layers.modules() if isinstance(layer, nn.Conv2d))
    with torch.no_grad():
        depth = layers.eval()(torch.zeros(1, first.in_channels, 64, 64)).shape[1]
    layers.train()
    return depth


def _transition(depth: int, config: LocalizerConfig) -> nn.Module:
    if config.transition_channels == 0:
        return nn.Identity()
    channels = config.transition_channels or depth
    coarser = config.output_stride // find_backbone(config.backbone).native_stride
    return nn.Sequential(
        nn.AvgPool2d(coarser) if coarser > 1 else nn.Identity(),
        nn.Conv2d(depth, channels, kernel_size=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
