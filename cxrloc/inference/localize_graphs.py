"""Probabilities and raw maps of many images by exported graphs, without torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cxrloc.errors import UsageError
from cxrloc.exported.graph import ExportedGraph
from cxrloc.findings import CHEXPERT_PARENTS
from cxrloc.inference.ensemble import mean_probabilities
from cxrloc.inference.hierarchy import unconditional
from cxrloc.inference.localized import Localized, cell_affine, localized
from cxrloc.inference.prepared import (
    Failure,
    Image,
    InferenceSettings,
    Prepared,
    chosen_findings,
    failure_of,
)
from cxrloc.inference.read_ahead import prepared_images
from cxrloc.inference.suitability import suitability

CAN_DO = {
    "method": ("cam",),
    "versions": ("plain",),
    "layer": ("",),
    "device": ("auto", "cpu"),
    "precision": ("auto", "fp32"),
}
"""What a graph can do: values by setting of `InferenceSettings`."""


def localize_graphs(
    graphs: Sequence[ExportedGraph], images: Iterable[Image], settings: InferenceSettings
) -> Iterator[Localized | Failure]:
    """The same as `inference.localize.localize`, by onnxruntime on the CPU.

    Raises:
        UsageError: a setting is not in `CAN_DO`, or a finding does not exist.
        CxrlocError: the graphs share no finding.
    """
    check_settings(settings)
    findings = chosen_findings(graphs, settings)
    for item in prepared_images(graphs, images, settings.workers):
        if isinstance(item, Failure):
            yield item
            continue
        try:
            yield _localize(graphs, item, findings, settings)
        except Exception as error:
            yield failure_of(item.image_id, error)


def check_settings(settings: InferenceSettings) -> None:
    """Raise an error for settings that need the network itself.

    Raises:
        UsageError: it names the option.
    """
    for name, known in CAN_DO.items():
        value = getattr(settings, name)
        if value not in known:
            raise UsageError(
                f"--{name} {value}: an exported graph gives class activation maps of the plain "
                "image, on the CPU; take a model file and --backend torch"
            )


def single_precision(settings: InferenceSettings) -> InferenceSettings:
    """The settings with the precision of every graph."""
    return replace(settings, precision="fp32")


def _localize(
    graphs: Sequence[ExportedGraph],
    item: Prepared,
    findings: tuple[str, ...],
    settings: InferenceSettings,
) -> Localized:
    """Probabilities and maps of one image, averaged over the graphs."""
    probabilities, maps, cells, far = [], [], [], []
    for graph, (grey, _) in zip(graphs, item.inputs, strict=True):
        found = graph.run(grey)  # its only channel is the batch of one image
        raw, names = found.raw_probabilities, graph.card.findings
        if settings.products:
            raw = unconditional(raw, names, CHEXPERT_PARENTS)
        columns = [names.index(finding) for finding in findings]
        probabilities.append(raw[0, columns])
        maps.append(found.maps[0, columns])
        cells.append(cell_affine(grey.shape, found.maps.shape, graph.facts.cell_shift_pixels))
        far.append(None if graph.card.distance is None else float(found.distance[0]))
    mean = mean_probabilities(probabilities)
    status = suitability(graphs, item.radiograph, far)
    return localized(item, findings, mean, maps, cells, status)
