"""The rows of the league: heads that are trained together on cached features of one backbone."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from league_encoders import ENCODERS
from torch import Tensor, nn

from cxrloc.images.augment import cut_out
from cxrloc.models.heads import HEADS
from cxrloc.models.localizer import LocalizerConfig, pool_and_prediction
from cxrloc.models.model import Model
from cxrloc.models.pooling import PoolingParameters
from cxrloc.training.losses import LOSSES

BATCH, WEIGHT_DECAY = 64, 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the league.

    Attributes:
        head: settings of the head that differ from a mean over the logits of all cells.
        encoder: layers before the head, a name of `ENCODERS`; empty: none.
        rate: learning rate.
        cutmix: share of the batches in which parts of two images are exchanged.
        method: heatmap method.
        trained_by: the row whose head is explained; empty: its own.
    """

    head: Mapping[str, Any] = field(default_factory=dict)
    encoder: str = ""
    rate: float = 4e-3
    cutmix: float = 0.0
    method: str = "cam"
    trained_by: str = ""


OWN = "own head"
"""The row of the head that the model was trained with, beside which all others stand."""

LEAGUE: dict[str, Row] = {
    OWN: Row(),
    "own head, layer_cam": Row(method="layer_cam", trained_by=OWN),
    "own head, grad_cam++": Row(method="grad_cam_plus_plus", trained_by=OWN),
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
    "noisy-or, layer_cam": Row(method="layer_cam", trained_by="noisy-or"),
    "noisy-or, grad_cam++": Row(method="grad_cam_plus_plus", trained_by="noisy-or"),
    "pylon": Row({"pooling": "max"}, encoder="pylon"),
    "transformer": Row(encoder="transformer", rate=5e-4),
}
"""The localizers, by the name of their row."""


class Head(nn.Module):
    """Pooling and prediction, and layers before them; in the place of images it takes features.

    Attributes:
        shift: distance from the centre of a cell to that of its receptive field, in pixels.
    """

    def __init__(
        self,
        order: str,
        pool: nn.Module,
        prediction: nn.Module,
        shift: float,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.order, self.pool, self.prediction = order, pool, prediction
        self.encoder, self.shift = encoder or nn.Identity(), shift

    def head(self, features: Tensor) -> Tensor:
        """The logits of features."""
        return HEADS[self.order](self.pool, self.prediction, features)

    def forward(self, cached: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features, as a `LocalizingNetwork` gives them."""
        features = self.encoder(cached)
        return self.head(features), features


def as_features(block: np.ndarray) -> Tensor:
    """A block of a file as float32 features [batch depth row col], channels last in memory."""
    return torch.from_numpy(np.array(block, dtype=np.float32)).movedim(3, 1)


def config_of(model: Model) -> LocalizerConfig:
    """The configuration of a model of the package."""
    assert model.config is not None
    return model.config


def head_of(name: str) -> str:
    """The row whose head a row uses."""
    return LEAGUE[name].trained_by or name


def own_head(model: Model) -> Head:
    """The head that the model was trained with."""
    part = model.network.get_submodule
    return Head(config_of(model).head, part("pool"), part("prediction"), shift_of(model)).eval()


def shift_of(model: Model) -> float:
    """The shift of the cells of a model's features, in pixels of its input."""
    return float(getattr(model.network, "cell_shift_pixels", 0.0))


def new_head(model: Model, name: str, seed: int) -> Head:
    """The head of a row: its prediction layer is zero, layers before it have random weights."""
    depth = own_head(model).prediction.get_parameter("weight").shape[1]
    encoder, shift = None, shift_of(model)
    if LEAGUE[name].encoder:
        torch.manual_seed(seed)
        encoder = ENCODERS[LEAGUE[name].encoder](model, depth)
        depth, shift = encoder.depth, encoder.shift
    # Features are centred already if the model centres them, so a head must not do it again.
    usual = {"head": "predict_then_pool", "pooling": "average"}
    usual |= {"pooling_parameters": PoolingParameters(), "centred_cells": 0}
    config = replace(config_of(model), **(usual | LEAGUE[name].head))
    head = Head(config.head, *pool_and_prediction(config, depth), shift, encoder)
    for value in head.prediction.parameters():
        nn.init.zeros_(value)
    return head


def train(
    heads: Mapping[str, Head], features: np.ndarray, labels: np.ndarray, epochs: int, seed: int
) -> None:
    """Train all heads in one pass over the features, in place.

    A head does not depend on which other heads are trained with it.
    """
    order_rng, cut_rng = np.random.default_rng(seed).spawn(2)
    rows = [*heads.items()]
    parameters = [{"params": head.parameters(), "lr": LEAGUE[name].rate} for name, head in rows]
    optimizer = torch.optim.AdamW(parameters, weight_decay=WEIGHT_DECAY)
    starts = range(0, len(features) - BATCH + 1, BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(starts))
    for epoch in range(epochs):
        order = order_rng.permutation(len(features))
        for start in starts:
            chosen = order[start : start + BATCH]
            block, truth = as_features(features[chosen]), torch.from_numpy(labels[chosen]).float()
            losses = [
                LOSSES["w_cel"](head(given)[0], wanted) / BATCH
                for name, head in rows
                for given, wanted in [mixed(block, truth, LEAGUE[name].cutmix, cut_rng)]
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
