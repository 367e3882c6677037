"""How far what a format gives is from torch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cxrloc.exported.formats import differences_from_torch
from cxrloc.exported.forward import ExportedForward, Outputs
from cxrloc.models.weights import read_model


def test_differences_are_absolute_and_those_of_maps_a_share_of_their_range(
    untrained_model: Path,
) -> None:
    model = read_model(str(untrained_model))
    grey = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    with torch.no_grad():
        outputs = ExportedForward(model).eval()(torch.from_numpy(grey[None]))
    found = {name: each.numpy().copy() for name, each in zip(Outputs._fields, outputs, strict=True)}
    assert max(differences_from_torch(model, found, [grey]).values()) == 0
    found["logits"][0, 1] -= 0.5
    found["maps"][0, 2, 0, 0] += 0.25 * np.ptp(found["maps"][0, 2])
    differences = differences_from_torch(model, found, [grey])
    assert differences["logits"] == pytest.approx(0.5)
    assert differences["maps"] == pytest.approx(0.25)
    assert differences["probabilities"] == 0


def test_what_is_no_number_is_infinitely_far_and_a_flat_map_has_no_range(
    untrained_model: Path,
) -> None:
    model = read_model(str(untrained_model))
    with torch.no_grad():
        model.network.prediction.weight[0] = 0  # its map is 0 in all cells
        grey = np.full((128, 128), 0.5, np.float32)
        outputs = ExportedForward(model).eval()(torch.from_numpy(grey[None]))
    found = {name: each.numpy().copy() for name, each in zip(Outputs._fields, outputs, strict=True)}
    found["maps"][0, 0, 0, 0] += 0.25
    found["probabilities"][0, 1] = np.nan
    differences = differences_from_torch(model, found, [grey])
    assert differences["maps"] == pytest.approx(0.25)
    assert differences["probabilities"] == np.inf
