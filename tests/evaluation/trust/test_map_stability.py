import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from cxrloc.evaluation.trust.map_stability import (
    DISTURBANCES,
    exposed,
    map_rank_correlation,
    on_grid,
    random_map,
    randomised_cascade,
    shifted,
)
from cxrloc.localization.heatmaps import cam
from cxrloc.models.localizer import Localizer, LocalizerConfig
from cxrloc.types import Affine


@pytest.fixture(scope="module")
def network() -> Localizer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LocalizerConfig("resnet18", ("Mass", "Nodule"), transition_channels=8)
        network = Localizer(config)
        network.train()(torch.randn(4, 1, 64, 64))  # moves the running statistics
    return network.eval()


def test_rank_correlation_is_scipys_ties_and_all() -> None:
    a, b = np.random.default_rng(0).integers(0, 5, (2, 6, 6)).astype(float)
    expected = spearmanr(a.ravel(), b.ravel()).statistic
    assert map_rank_correlation(a, b) == pytest.approx(expected)


def test_a_flat_map_has_no_rank_correlation() -> None:
    assert map_rank_correlation(np.ones((3, 3)), np.arange(9.0).reshape(3, 3)) is None


def test_a_map_goes_to_another_grid_of_the_same_image() -> None:
    fine = np.kron([[1.0, 2.0], [3.0, 4.0]], np.ones((4, 4)))
    coarse = on_grid(fine, Affine(xx=8.0, yy=8.0), Affine(xx=32.0, yy=32.0), (2, 2))
    np.testing.assert_allclose(coarse, [[1.0, 2.0], [3.0, 4.0]])


def test_random_maps_agree_with_nothing_on_average() -> None:
    generator = np.random.default_rng(0)
    fixed = random_map((8, 8), generator)
    values = [map_rank_correlation(fixed, random_map((8, 8), generator)) for _ in range(300)]
    assert np.mean(values) == pytest.approx(0.0, abs=0.05)


def test_the_cascade_goes_from_the_last_layer_to_the_first_and_spares_the_original(
    network: Localizer,
) -> None:
    before = copy.deepcopy(network.state_dict())
    changed, names = [], []
    for name, randomised in randomised_cascade(network, seed=0):
        names.append(name)
        after = randomised.state_dict()
        changed.append({key for key in before if not torch.equal(before[key], after[key])})
    assert names[0] == "prediction"
    assert names[-1] == "backbone.conv1"
    assert changed[0] == {"prediction.weight", "prediction.bias"}
    assert all(a < b for a, b in pairwise(changed))
    weights = {key for key in before if before[key].ndim > 1}
    assert weights <= changed[-1]
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key])


def test_randomised_statistics_start_anew_and_maps_stay_finite(network: Localizer) -> None:
    *_, (_, last) = randomised_cascade(network, seed=0)
    state = last.state_dict()
    means = [state[key] for key in state if key.endswith("running_mean")]
    assert all(not mean.any() for mean in means)
    assert cam(last, torch.randn(2, 1, 64, 64))[1].isfinite().all()


def test_the_cascade_repeats_by_seed_and_leaves_the_global_generator_alone(
    network: Localizer,
) -> None:
    state = torch.get_rng_state()
    first, again, other = (
        next(iter(randomised_cascade(network, seed)))[1].prediction.weight.clone()
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_a_shift_repeats_the_edge() -> None:
    image = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert shifted(image, 0, 1).tolist() == [[[1.0, 2.0], [1.0, 2.0]]]
    assert shifted(image, -1, 0).tolist() == [[[2.0, 2.0], [4.0, 4.0]]]


def test_exposure_works_on_grey_levels_and_keeps_black_and_white() -> None:
    grey = torch.tensor([[[0.0, 0.25, 1.0]]])
    changed = exposed((grey - 0.5) / 0.25, 0.5, (0.5,), (0.25,))
    torch.testing.assert_close(changed * 0.25 + 0.5, torch.tensor([[[0.0, 0.5, 1.0]]]))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_disturbed_image_moves_back_onto_itself(name: str) -> None:
    image = torch.zeros(1, 100, 100)
    image[:, 40:60, 30:50] = 1.0
    disturbed, back = DISTURBANCES[name](image, (0.0,), (1.0,))
    returned = on_grid(disturbed[0].numpy(), back, Affine(), (100, 100))
    np.testing.assert_allclose(returned, image[0].numpy(), atol=1e-3)
