import pytest
import torch

from cxrloc.training import losses as losses_module
from cxrloc.training.losses import LOSSES, w_cel

NAN = float("nan")
LOGITS = torch.tensor([[0.3, -1.2, 2.0], [-0.4, 0.1, 0.8]])


def labels_for(name):
    """One-hot where the loss needs it."""
    if name == "softmax":
        return torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    return torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


def gradient(name, logits, labels):
    logits = logits.clone().requires_grad_()
    LOSSES[name](logits, labels).backward()
    return logits.grad


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"w_cel"}))
def test_the_loss_of_a_batch_is_the_sum_over_its_images(name):
    labels = labels_for(name)
    alone = [LOSSES[name](LOGITS[i : i + 1], labels[i : i + 1]) for i in range(2)]
    assert LOSSES[name](LOGITS, labels) == pytest.approx(sum(alone))


@pytest.mark.parametrize("name", LOSSES)
def test_the_same_images_twice_cost_twice(name):
    """W-CEL too, which is no sum over images: its weights are counted over the batch."""
    labels = labels_for(name)
    twice = LOSSES[name](LOGITS.repeat(2, 1), labels.repeat(2, 1))
    assert twice == pytest.approx(2 * LOSSES[name](LOGITS, labels).item())


@pytest.mark.parametrize("name", LOSSES)
def test_it_falls_where_a_logit_moves_towards_its_label(name):
    """Only the hinge loss is flat, where a logit is right by more than the margin."""
    labels = labels_for(name)
    towards = 2 * labels - 1
    slopes = gradient(name, LOGITS, labels) * towards
    flat = (LOGITS * towards > 1) if name == "hinge" else torch.zeros_like(labels, dtype=bool)
    assert (slopes[flat] == 0).all()
    assert (slopes[~flat] < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_an_image_of_unknown_labels_costs_and_teaches_nothing(name):
    labels = labels_for(name)
    unknown = torch.cat([labels, torch.full((1, 3), NAN)])
    logits = torch.cat([LOGITS, torch.ones(1, 3)])
    assert LOSSES[name](logits, unknown) == pytest.approx(LOSSES[name](LOGITS, labels).item())
    assert (gradient(name, logits, unknown)[2] == 0).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"softmax", "class_averaged"}))
def test_an_unknown_label_costs_nothing_and_its_neighbours_stay(name):
    """The same as a batch that does not have it: labels side by side are one long row."""
    labels = labels_for(name)
    masked = labels.clone()
    masked[0, 1] = NAN
    known = ~masked.isnan()
    expected = LOSSES[name](LOGITS[known][None], labels[known][None])
    assert LOSSES[name](LOGITS, masked) == pytest.approx(expected.item())
    slopes = gradient(name, LOGITS, masked)
    assert slopes[0, 1] == 0
    assert slopes.isfinite().all()


def test_the_mean_over_the_labels_of_an_image_is_over_those_known():
    labels = torch.tensor([[1.0, NAN, 0.0]])
    two = LOSSES["class_averaged"](LOGITS[:1, [0, 2]], labels[:, [0, 2]])
    assert LOSSES["class_averaged"](LOGITS[:1], labels) == pytest.approx(two.item())


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_any_known_label_is_zero_and_flat(name):
    nothing = torch.full((2, 3), NAN)
    assert LOSSES[name](LOGITS, nothing) == 0
    assert (gradient(name, LOGITS, nothing) == 0).all()


def test_smoothed_labels_count_in_their_shares():
    """|P| = 1.25 and |N| = 0.75: both sides of Eq. 1 still weigh the same."""
    smoothed = torch.tensor([[0.25, 1.0]])
    beta_p, beta_n = 2 / 1.25, 2 / 0.75
    ln2 = 0.693147
    expected = (beta_p * 1.25 + beta_n * 0.75) * ln2
    assert w_cel(torch.zeros(1, 2), smoothed) == pytest.approx(expected)


def test_labels_of_other_processes_count_in_the_weights(monkeypatch):
    """Their shares of the loss add up to the loss of the whole batch."""
    labels = labels_for("w_cel")
    whole = w_cel(LOGITS, labels)
    counts = torch.tensor([labels.sum(), (1 - labels).sum()])
    monkeypatch.setattr(losses_module, "summed", lambda own: counts)
    shares = [w_cel(LOGITS[i : i + 1], labels[i : i + 1]) for i in range(2)]
    assert sum(shares) == pytest.approx(whole.item())


def test_an_image_with_an_unknown_label_adds_nothing_to_softmax():
    labels = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
    logits = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
    assert LOSSES["softmax"](logits, labels).item() == pytest.approx(0.6931, abs=1e-4)  # ln 2
