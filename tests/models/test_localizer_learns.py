"""Every pooling, head and decoder, and small networks of timm's kinds, learn from phantoms.

So few steps teach a network large hearts, but hardly the other findings.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from cxrloc.evaluation.classification.ranking import auc
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.models.pooling import OF_FEATURES_ALONE, POOLINGS, PoolingParameters
from cxrloc.phantom import make_phantom, phantom_record, plan_phantom
from cxrloc.training.losses import LOSSES
from cxrloc.types import Label

pytestmark = pytest.mark.slow  # about three seconds for each of fifteen networks

FINDINGS = ("Cardiomegaly", "Effusion", "Pneumothorax")
SIDE, TRAINING, FRESH, STEPS, BATCH = 64, 112, 64, 50, 12


class Phantoms(NamedTuple):
    """Standardised radiographs [image channel row col] and their labels [image finding]."""

    images: Tensor
    labels: Tensor


def phantoms(seed: int, count: int) -> Phantoms:
    """Phantoms with one of the findings, or with none of any kind, about half of each."""
    images, labels = [], []
    index = 0
    while len(images) < count:
        present = phantom_record(plan_phantom(seed, index), SIDE).labels
        positive = [present[finding] is Label.POSITIVE for finding in FINDINGS]
        if any(positive) or (len(images) % 2 and Label.POSITIVE not in present.values()):
            pixels = make_phantom(seed, index, SIDE).pixels
            images.append((pixels - pixels.mean()) / pixels.std())
            labels.append(positive)
        index += 1
    return Phantoms(torch.from_numpy(np.stack(images))[:, None].float(), torch.tensor(labels))


@pytest.fixture(scope="module")
def training() -> Phantoms:
    return phantoms(41, TRAINING)


@pytest.fixture(scope="module")
def fresh() -> Phantoms:
    return phantoms(42, FRESH)


def of_logits(pooling: str) -> dict[str, Any]:
    return {"head": "predict_then_pool", "pooling": pooling}


SLOWER = {"ViT": (150, 1e-3)}
"""Networks that need other steps and another learning rate than the rest."""

TENTHS = PoolingParameters(highest=0.1, lowest=0.1, alpha=0.7)
NETWORKS: dict[str, dict[str, Any]] = {
    **{name: of_logits(name) for name in POOLINGS if name not in OF_FEATURES_ALONE},
    "average_normalised": {"pooling": "average_normalised"},
    "lse of features": {"pooling": "lse", "pooling_parameters": PoolingParameters(r=1.0)},
    "wildcat": of_logits("highest_and_lowest")
    | {"pooling_parameters": TENTHS, "maps_per_finding": 4},
    "pylon": of_logits("max") | {"decoder": "pylon", "output_stride": 8},
    "ViT": {"backbone": "timm:test_vit", "output_stride": 16, "transition_channels": 0},
    "ConvNeXt": {"backbone": "timm:test_convnext", "output_stride": 32, "transition_channels": 0},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_falls_and_fresh_phantoms_are_ranked_above_chance(
    name: str, training: Phantoms, fresh: Phantoms
) -> None:
    settings = {
        "backbone": "small_resnet",
        "output_stride": 16,
        "transition_channels": 32,
        **NETWORKS[name],
    }
    if settings["backbone"].startswith("timm:"):
        pytest.importorskip("timm")
    torch.manual_seed(0)
    network = Localizer(LocalizerConfig(findings=FINDINGS, **settings)).train()
    steps, rate = SLOWER.get(name, (STEPS, 2e-3))
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    order = torch.randint(TRAINING, (steps, BATCH), generator=torch.Generator().manual_seed(0))
    losses = []
    for rows in order:
        logits, _ = network(training.images[rows])
        loss = LOSSES["w_cel"](logits, training.labels[rows].float()) / BATCH
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    with torch.no_grad():
        logits, _ = network.eval()(fresh.images)
    hearts = FINDINGS.index("Cardiomegaly")
    area = auc(fresh.labels[:, hearts].numpy(), logits[:, hearts].double().numpy())
    # By chance, such an area is above .65 in 2 of 100 cases.
    assert area is not None
    assert area > 0.65
