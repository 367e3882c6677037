"""The rows of the league on radiographs: their heads, trained together on frozen features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cxrloc.images.augment import cut_out
from cxrloc.models.heads import HEADS
from cxrloc.models.localizer import LocalizerConfig, pool_and_prediction
from cxrloc.models.model import Model
from cxrloc.models.pooling import PoolingParameters
from cxrloc.training.losses import LOSSES

MODEL = "nih-small-v4"
BATCH, LEARNING_RATE, WEIGHT_DECAY = 64, 4e-3, 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the league.

    Attributes:
        head: settings of the head that differ from a mean over the logits of all cells.
        cutmix: share of the batches in which parts of two images are exchanged.
        method: heatmap method.
        trained_by: the row whose head is explained; empty: its own.
    """

    head: Mapping[str, Any] = field(default_factory=dict)
    cutmix: float = 0.0
    method: str = "cam"
    trained_by: str = ""


LEAGUE: dict[str, Row] = {
    MODEL: Row(),  # its own head, which was trained together with the last layers
    "average": Row(),
    "average, cutmix": Row(cutmix=0.5),
    "lse of features": Row({"head": "pool_then_predict", "pooling": "lse"}),  # Wang et al. 2017
    "max": Row({"pooling": "max"}),
    "lse": Row({"pooling": "lse", "pooling_parameters": PoolingParameters(r=1.0)}),
    "lse, learned r": Row({"pooling": "lse_learned"}),
    "pcam": Row({"pooling": "pcam"}),
    "noisy-or": Row({"pooling": "noisy_or"}),
    "top-k and bottom-k": Row(
        {
            "pooling": "highest_and_lowest",
            "pooling_parameters": PoolingParameters(highest=0.1, lowest=0.1, alpha=0.7),
        }
    ),
    "linear softmax": Row({"pooling": "linear_softmax"}),
    "lse, hirescam": Row(method="hirescam", trained_by="lse"),
    "lse, layer_cam": Row(method="layer_cam", trained_by="lse"),
    "lse, grad_cam++": Row(method="grad_cam_plus_plus", trained_by="lse"),
}
"""The localizers, by the name of their row."""


class Head(nn.Module):
    """Pooling and prediction; in the place of images it takes features, and gives them back."""

    def __init__(self, config: LocalizerConfig, depth: int) -> None:
        super().__init__()
        self.order = config.head
        self.pool, self.prediction = pool_and_prediction(config, depth)

    def head(self, features: Tensor) -> Tensor:
        """The logits of features."""
        return HEADS[self.order](self.pool, self.prediction, features)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, as a `LocalizingNetwork` gives them."""
        return self.head(features), features


def as_features(block: np.ndarray) -> Tensor:
    """A block of the file as float32 features [batch depth row col], channels last in memory."""
    return torch.from_numpy(np.array(block, dtype=np.float32)).movedim(3, 1)


def halved(block: np.ndarray) -> Tensor:
    """The features of a block on a grid of half as many rows and columns, channels last."""
    coarse = F.avg_pool2d(as_features(block), 2)
    return coarse.contiguous(memory_format=torch.channels_last)


def heads_of(model: Model, features: np.ndarray, names: Sequence[str]) -> dict[str, Head]:
    """The heads of these rows, with prediction layers of zeros."""
    heads = {}
    assert model.config is not None
    for name in names:
        own = {"head": "predict_then_pool", "pooling": "average", **LEAGUE[name].head}
        # The features are centred already, which only heads of the average may declare.
        config = replace(model.config, centred_cells=0, **own)
        heads[name] = Head(config, features.shape[3])
        for value in heads[name].prediction.parameters():
            nn.init.zeros_(value)
    return heads


def train(
    heads: Mapping[str, Head], features: np.ndarray, labels: np.ndarray, epochs: int, seed: int
) -> None:
    """Train all heads in one pass over the features, in place."""
    rng = np.random.default_rng(seed)
    coarse = torch.cat([halved(features[at : at + BATCH]) for at in range(0, len(features), BATCH)])
    rows = [*heads.items()]
    parameters = [value for _, head in rows for value in head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    starts = range(0, len(features) - BATCH + 1, BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(starts))
    for epoch in range(epochs):
        order = rng.permutation(len(features))
        for start in starts:
            chosen = order[start : start + BATCH]
            block, truth = coarse[chosen], torch.from_numpy(labels[chosen]).float()
            losses = [
                LOSSES["w_cel"](head.head(given), wanted) / BATCH
                for name, head in rows
                for given, wanted in [mixed(block, truth, LEAGUE[name].cutmix, rng)]
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
        last = ", ".join(
            f"{name} {loss.item():.2f}" for (name, _), loss in zip(rows, losses, strict=True)
        )
        print(f"epoch {epoch + 1} of {epochs}, losses: {last}", flush=True)


def mixed(
    features: Tensor, labels: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The batch after CutMix (Yun et al. 2019) in this share of the batches."""
    if not share:
        return features, labels
    cuts = cut_out(rng.random((len(features), 4)), share, features.shape[-1])
    of_labels = cuts.float().mean(dim=(1, 2))[:, None]
    return (
        torch.lerp(features, features.roll(1, dims=0), cuts[:, None].float()),
        torch.lerp(labels, labels.roll(1, dims=0), of_labels),
    )
