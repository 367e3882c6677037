"""Every backbone learns: one step of training, from scratch, on a grid of 2 x 2 cells.

With a single cell, batch normalisation would map the two images to -1 and 1 for any weights.
"""

import pytest
import torch

from cxrloc.datasets.batches import Batch
from cxrloc.models.backbones import BACKBONES
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.training.fit_config import FitConfig
from cxrloc.training.schedules import ScheduleConfig
from cxrloc.training.step import parts_of, take_step

FIT = FitConfig(ScheduleConfig(0.1), batch_size=2, steps=1, optimizer="sgd", momentum=0.0)


FAST = ("small_resnet", "resnet18", "mobilenet_v2")
"""The other backbones are marked slow."""


@pytest.mark.parametrize(
    "backbone",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES],
)
def test_a_step_moves_every_weight(backbone: str) -> None:
    if BACKBONES[backbone].timm_weights:
        pytest.importorskip("timm", reason="this backbone is in the extra zoo")
    stride = BACKBONES[backbone].native_stride
    findings = ("Mass", "Nodule")
    config = LocalizerConfig(backbone, findings, output_stride=stride, transition_channels=8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Localizer(config)
        images = torch.rand(2, 1, 2 * stride, 2 * stride)
    batch = Batch((images,), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    ((loss, labels),) = take_step(network, parts_of(network, FIT), [batch], FIT, step=0, rate=0.1)
    assert (loss.isfinite(), labels) == (True, 4)
    for name, weight in network.named_parameters():
        assert weight.isfinite().all(), name
        assert not torch.equal(weight, before[name]), name
