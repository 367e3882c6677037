"""Layers between the cached features of a backbone and the head of a row.

Their input is the features of two strides in one array: `packed`.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cxrloc.models.decoders import Pylon
from cxrloc.models.model import Model
from cxrloc.models.pyramid import Level, Pyramid, TimmPyramid, pyramid_of

CHANNELS = 64


def pyramid(model: Model) -> Pyramid | TimmPyramid:
    """The model's backbone, with its features at each stride as output."""
    assert model.config is not None
    return pyramid_of(model.config.backbone, model.network.get_submodule("backbone"))


def packed(features: Tensor, finer: Tensor) -> Tensor:
    """Features, and those of half their stride: four cells of these are channels of one cell."""
    return torch.cat([features, F.pixel_unshuffle(finer, 2)], dim=1)


class Decoder(nn.Module):
    """PYLON's decoder (Preechakul et al. 2022) of two levels; its grid is that of the finer one."""

    def __init__(self, model: Model, depth: int) -> None:
        super().__init__()
        finer, last = pyramid(model).levels[-2:]
        levels: list[Level] = [finer, replace(last, depth=depth)]
        self.given_depth, self.depth, self.shift = depth, CHANNELS, finer.shift_pixels
        self.decoder = Pylon(levels, finer.stride, CHANNELS)

    def forward(self, both: Tensor) -> Tensor:
        """The features of a finer grid."""
        coarse, finer = both[:, : self.given_depth], both[:, self.given_depth :]
        return self.decoder([F.pixel_shuffle(finer, 2), coarse])


class Transformer(nn.Module):
    """A vision transformer of two layers over the cells of the features.

    Dosovitskiy et al. 2021, section 3.1 (the hybrid architecture, whose tokens are the cells of a
    convolutional network). Here the tokens know their places by sines of them, so that any grid
    will do, and the prediction reads the mean of the tokens.
    """

    def __init__(self, model: Model, depth: int) -> None:
        super().__init__()
        self.given_depth, self.depth = depth, CHANNELS
        self.shift = float(getattr(model.network, "cell_shift_pixels", 0.0))
        self.embedding = nn.Linear(depth, CHANNELS)
        layer = nn.TransformerEncoderLayer(
            CHANNELS, 4, 2 * CHANNELS, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, both: Tensor) -> Tensor:
        """The last layer's tokens, on the grid of the features."""
        features = both[:, : self.given_depth]
        rows, columns = features.shape[2:]
        tokens = self.embedding(features.flatten(2).mT) + places(rows, columns)
        return self.layers(tokens).mT.unflatten(2, (rows, columns))


def places(rows: int, columns: int) -> Tensor:
    """Sines and cosines of the cells' rows and columns, as (cell, channel)."""
    waves = np.pi * 2.0 ** np.arange(CHANNELS // 4)[:, None] / 8
    across, down = (waves * (np.arange(count) + 0.5) / count for count in (columns, rows))
    parts = [
        *(np.repeat(wave(down), columns, axis=1) for wave in (np.sin, np.cos)),
        *(np.tile(wave(across), rows) for wave in (np.sin, np.cos)),
    ]
    return torch.from_numpy(np.concatenate(parts).T.astype(np.float32))


ENCODERS = {"pylon": Decoder, "transformer": Transformer}
"""Encoders by the name that a row gives: (model, depth of its features) -> encoder."""
