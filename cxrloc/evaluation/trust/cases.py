"""The heatmaps that `cxrloc trust` tests: positive findings of images drawn from a data set."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cxrloc.devices import choose_devices
from cxrloc.errors import CxrlocError
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.trust.map_stability import random_map
from cxrloc.inference.image_sets import DataOptions
from cxrloc.inference.localize import localize
from cxrloc.inference.paired_images import Pairing
from cxrloc.inference.prepared import Failure, Image, InferenceSettings, Prepared
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.localization.regions import is_degenerate
from cxrloc.models.any_layer import with_layer
from cxrloc.models.context import BoundNetwork, Subject, bound
from cxrloc.models.described import Input
from cxrloc.models.localizer import LocalizingNetwork
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.types import Affine, Heatmaps, Label, Record


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """Options of `trust`: models, sampling, pairing and inference.

    Attributes:
        model: an embedded name or a checkpoint file.
        shuffled_model: a model trained in the same way on shuffled labels, for label randomisation.
        other_models: models trained from another seed or of another architecture, for
            repeatability.
        images: number of images drawn from those with a positive label; every positive finding is
            tested.
        resampling: how intervals are made; its seed also draws images, random maps and weights.
        pairing: which images go together, for networks that read two views.
        data: further options of the data set.
        inference: how the models are run; each image is used as it is (`versions` is "plain").
    """

    model: str
    shuffled_model: str | None = None
    other_models: tuple[str, ...] = ()
    images: int = 8
    resampling: Resampling = field(default_factory=Resampling)
    pairing: Pairing = field(default_factory=Pairing)
    data: DataOptions = field(default_factory=DataOptions)
    inference: InferenceSettings = field(default_factory=InferenceSettings)


class TestedModels(NamedTuple):
    """The model whose heatmaps are tested, and those that its heatmaps are compared with."""

    model: Model
    shuffled: Model | None
    others: tuple[Model, ...]


class Case(NamedTuple):
    """One positive finding on one image, with the model's map of it.

    Attributes:
        image_id: the image.
        patient_id: its patient.
        finding: what the map is of.
        column: index of the finding among the model's outputs.
        image: the network's input; for a pair of views, the frontal one.
        partner: the lateral view of the pair, which every test leaves as it is.
        subject: age, sex and view, as far as known.
        heatmap: raw map.
        to_image: affine from grid coordinates of the map to pixels of the original image.
        random: a smooth random map on the same grid.
    """

    image_id: str
    patient_id: str
    finding: str
    column: int
    image: Float[Tensor, "channel row col"]
    partner: Float[Tensor, "channel row col"] | None
    subject: Subject
    heatmap: Float[np.ndarray, "row col"]
    to_image: Affine
    random: Float[np.ndarray, "row col"]


def read_tested(options: TrustOptions) -> TestedModels:
    """The tested model and the models for comparison, read by name or file.

    Raises:
        CxrlocError: one does not exist.
    """

    def read(name: str) -> Model:
        return with_layer(read_model(name), options.inference.layer)

    shuffled = options.shuffled_model
    return TestedModels(
        model=read(options.model),
        shuffled=None if shuffled is None else read(shuffled),
        others=tuple(map(read, options.other_models)),
    )


def drawn_images(
    records: Sequence[Record], images: Sequence[Image], model: Model, options: TrustOptions
) -> list[Image]:
    """Images with a positive finding of the model, in an order drawn by the seed.

    Raises:
        CxrlocError: no image has one.
    """
    positive = {
        record.image_id
        for record in records
        if any(record.labels.get(f) is Label.POSITIVE for f in model.card.findings)
    }
    candidates = [image for image in images if image.image_id in positive]
    if not candidates:
        raise CxrlocError(
            f"none of the {len(images)} images on this disk is labelled with a finding of "
            f"{model.card.name} ({', '.join(model.card.findings)})"
        )
    order = np.random.default_rng(options.resampling.seed).permutation(len(candidates))
    return [candidates[index] for index in order[: options.images]]


def positive_cases(
    model: Model, records: Sequence[Record], images: Sequence[Image], options: TrustOptions
) -> tuple[list[Case], list[Failure]]:
    """Every positive finding of the images; flat maps are left out."""
    record_of = {record.image_id: record for record in records}
    generator = np.random.default_rng(options.resampling.seed)
    maps = maps_by_image(model, images, options)
    device = choose_devices(options.inference.device)[0]  # of several, which made the maps
    model.network.to(device)
    workers = options.inference.workers
    cases, failures = [], []
    for item in prepared_images([model], images, workers):
        if isinstance(item, Failure):
            failures.append(item)
            continue
        found, record = maps[item.image_id], record_of[item.image_id]
        image, partner = _scored_view(model, item, device)
        for column, finding in enumerate(model.card.findings):
            if record.labels.get(finding) is not Label.POSITIVE:
                continue
            heatmap = found.scores[column]
            noise = random_map(heatmap.shape, generator)
            if not is_degenerate(heatmap):
                cases.append(
                    Case(
                        image_id=item.image_id,
                        patient_id=record.patient_id,
                        finding=finding,
                        column=column,
                        image=image,
                        partner=partner,
                        subject=item.radiograph,
                        heatmap=heatmap,
                        to_image=found.to_image,
                        random=noise,
                    )
                )
    return cases, failures


def _scored_view(
    model: Model, item: Prepared, device: torch.device
) -> tuple[Float[Tensor, "channel row col"], Float[Tensor, "channel row col"] | None]:
    """The view that is tested, and the lateral view if the network reads two views."""
    whole = torch.from_numpy(item.inputs[0][0]).to(device)
    if Input.SECOND_VIEW not in model.reads:
        return whole, None
    frontal, lateral = whole.chunk(2)  # the images of a pair are its frontal one (`paired_images`)
    return frontal, lateral


def network_of_image(network: nn.Module, case: Case) -> LocalizingNetwork:
    """A network of images alone: the model's, or one with other weights, bound to one case.

    The network is bound to the lateral view of the pair, or to age, sex and view of the patient.
    """
    of_subject, partner = bound(network, [case.subject]), case.partner
    if partner is None:
        return of_subject

    def run(images: Tensor) -> tuple[Tensor, Tensor]:
        lateral = partner.expand(len(images), *partner.shape)
        return of_subject(torch.cat([images, lateral], dim=1))

    return BoundNetwork(of_subject, run)


def maps_by_image(
    model: Model, images: Sequence[Image], options: TrustOptions
) -> dict[str, Heatmaps]:
    """The maps of all findings of a model, by image, for the images that can be read."""
    results = localize([model], images, options.inference)
    done = [result.heatmaps for result in results if not isinstance(result, Failure)]
    return {each.image_id: each for each in done}
