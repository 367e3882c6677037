"""Exported graphs give what torch gives, up to the rounding of float32, and refuse the rest."""

from dataclasses import replace

import numpy as np
import pytest

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.exported.graph import ExportedGraph, read_embedded_graph
from cxrloc.inference.localize import localize
from cxrloc.inference.localize_graphs import localize_graphs
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom
from cxrloc.types import Radiograph

CHEST = Radiograph(make_phantom(3, 1, 300).pixels.astype(np.float32), bits_stored=8)
IMAGES = [
    Image("chest", lambda: CHEST),
    Image("flat", lambda: replace(CHEST, pixels=np.full((60, 80), 0.5, np.float32))),
]


@pytest.fixture(scope="module")
def phantom_graph() -> ExportedGraph:
    return read_embedded_graph("phantom-v1")


def assert_same(one: Localized | Failure, two: Localized | Failure) -> None:
    assert isinstance(one, Localized)
    assert isinstance(two, Localized)
    assert one.heatmaps.findings == two.heatmaps.findings
    assert one.heatmaps.to_image == two.heatmaps.to_image
    np.testing.assert_allclose(two.probabilities, one.probabilities, atol=1e-5)
    spread = np.ptp(one.heatmaps.scores)
    np.testing.assert_allclose(
        two.heatmaps.scores / spread, one.heatmaps.scores / spread, atol=2e-5
    )
    assert two.suitability.reasons == one.suitability.reasons
    assert two.suitability.distance == pytest.approx(one.suitability.distance, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["phantom-v1", pytest.param("nih-small-v4", marks=pytest.mark.slow)]
)
def test_an_embedded_graph_gives_what_torch_gives(name: str) -> None:
    settings = InferenceSettings()
    by_torch = list(localize([read_model(name)], IMAGES, settings))
    by_onnx = list(localize_graphs([read_embedded_graph(name)], IMAGES, settings))
    assert_same(by_torch[0], by_onnx[0])
    flat, same = by_torch[1], by_onnx[1]  # its standardised grey levels are nothing but rounding
    assert isinstance(flat, Localized)
    assert isinstance(same, Localized)
    assert same.suitability.reasons == flat.suitability.reasons != ()
    boxes = [
        [
            (each.finding, each.box.x_min, each.box.y_min, each.box.x_max, each.box.y_max)
            for each in detections_from_heatmaps(found.heatmaps, found.probabilities, [60, 180])
        ]
        for found in (by_torch[0], by_onnx[0])
        if isinstance(found, Localized)
    ]
    assert [row[0] for row in boxes[0]] == [row[0] for row in boxes[1]]
    corners = [np.array([row[1:] for row in each]) for each in boxes]
    np.testing.assert_allclose(corners[1], corners[0], atol=0.5)  # pixels


def test_two_graphs_are_an_ensemble_of_chosen_findings(phantom_graph: ExportedGraph) -> None:
    settings = InferenceSettings(findings=("Mass", "Effusion"), products=True)
    (one,) = localize([read_model("phantom-v1")] * 2, IMAGES[:1], settings)
    (two,) = localize_graphs([phantom_graph] * 2, IMAGES[:1], settings)
    assert isinstance(two, Localized)
    assert two.heatmaps.scores.max() == 1  # maps of an ensemble are scaled before their mean
    assert_same(one, two)


def test_an_image_that_cannot_be_read_is_a_failure(phantom_graph: ExportedGraph) -> None:
    def broken() -> Radiograph:
        raise CxrlocError("b.dcm: no pixels")

    images = [Image("b", broken), IMAGES[0]]
    first, second = localize_graphs([phantom_graph], images, InferenceSettings())
    assert first == Failure("b", "b.dcm: no pixels")
    assert isinstance(second, Localized)


@pytest.mark.parametrize(
    "settings",
    [
        InferenceSettings(method="grad_cam"),
        InferenceSettings(versions="tta"),
        InferenceSettings(layer="layer4"),
        InferenceSettings(device="cuda"),
    ],
)
def test_what_needs_the_network_is_refused(
    phantom_graph: ExportedGraph, settings: InferenceSettings
) -> None:
    with pytest.raises(UsageError, match="--backend torch"):
        list(localize_graphs([phantom_graph], IMAGES, settings))
