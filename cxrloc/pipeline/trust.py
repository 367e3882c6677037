"""`cxrloc trust`: tests of a model's heatmaps, as one table and one figure."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets.description import describe_labels
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.contamination import check_contamination
from cxrloc.evaluation.trust.cases import (
    Case,
    TrustOptions,
    drawn_images,
    positive_cases,
    read_tested,
)
from cxrloc.evaluation.trust.map_tests import (
    chance,
    disturbances,
    faithfulness,
    other_models,
    weight_randomisation,
)
from cxrloc.evaluation.trust.table import trust_frame, write_trust
from cxrloc.evaluation.trust.verdict import trust_verdict
from cxrloc.files.installed import versions
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import write_json
from cxrloc.inference.image_sets import read_images
from cxrloc.inference.paired_images import paired_images
from cxrloc.inference.prepared import Failure
from cxrloc.models.provenance import caption_of, describe_models
from cxrloc.panels.figure_files import write_figure
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.panels.trust import draw_trust
from cxrloc.phantom import NOT_OF_PATIENTS, SYNTHETIC_CAPTION, is_synthetic


class TrustResult(NamedTuple):
    """The results for the terminal; the files are already written."""

    frame: pd.DataFrame
    failures: Sequence[Failure]
    run: dict[str, Any]
    verdict: Sequence[str]


CaseWatch = Callable[[Iterable[Case]], Iterable[Case]]
"""A function that passes cases on, and may show the progress."""


def trust(
    data: Path | None, out: Path, options: TrustOptions, watch: CaseWatch = iter
) -> TrustResult:
    """Test a model's heatmaps and write one table and one figure to `out`.

    Without data, the embedded phantoms are used. The result names images that cannot be read, and
    the other images are still tested. In a pair of views, the frontal one is tested, and the
    lateral one stays unchanged.

    Raises:
        UsageError: a name does not exist, `versions` is not "plain", or `out` cannot be written.
        CxrlocError: no image of the data has a positive finding of the model.
    """
    started = time.perf_counter()
    if options.inference.versions != "plain":
        raise UsageError("--versions: heatmaps are tested on images as they are (plain)")
    # Maps of the same network are compared, so no difference may come from rounding.
    options = replace(options, inference=replace(options.inference, precision="fp32"))
    make_folder(out)
    models = read_tested(options)
    model = models.model
    every = [m for m in (model, models.shuffled, *models.others) if m is not None]
    image_set = read_images(data, options.data, model.card.findings)
    paired = paired_images(*image_set[:3], every, options.pairing)
    image_set = image_set._replace(**paired._asdict())
    images = drawn_images(image_set.records, image_set.images, model, options)
    cases, failures = positive_cases(model, image_set.records, images, options)
    if not cases:
        raise CxrlocError(f"{image_set.name}: no image could be read, or all maps are flat")
    curves, rows = faithfulness(model, watch(cases), options)
    rows += [
        *weight_randomisation(model, cases, options),
        *other_models(models, cases, images, options),
        *disturbances(model, cases, options),
        chance(cases, options),
    ]
    verdict = trust_verdict(rows)
    contamination = check_contamination(
        [model], image_set.records, image_set.data_sets, allowed=True
    )
    description = describe_models([model])
    synthetic = is_synthetic(data)
    caption = caption_of(description) + SYNTHETIC_CAPTION * synthetic
    remarks = [*contamination.remarks, *([NOT_OF_PATIENTS] if synthetic else [])]
    run = {
        "versions": versions(),
        "model": description,
        "data": {**describe_labels(image_set.name, image_set.records), "synthetic": synthetic},
        "options": {**asdict(options), "other_models": list(options.other_models)},
        "images": sorted({case.image_id for case in cases}),
        "pairs": len(cases),
        "failed_images": {failure.image_id: failure.reason for failure in failures},
        # Training patients are counted and not refused, because heatmaps are tested, not scored.
        "training_patients_among_the_data": contamination.count,
        "notes": remarks,
        "verdict": list(verdict),
        "seconds": round(time.perf_counter() - started, 1),
    }
    frame = trust_frame(rows)
    write_trust(frame, curves, verdict, out, remarks)
    write_json(out / "run.json", run)
    with figure_style():
        page = draw_trust([out], FigureRequest(caption=caption))
        write_figure(page, [out / "trust.png", out / "trust.pdf"])
    return TrustResult(frame, failures, run, verdict)
