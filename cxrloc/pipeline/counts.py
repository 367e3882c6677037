"""`cxrloc counts`: counts of a data set, beside published tables of counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cxrloc.datasets import label_origin, official_parts_of
from cxrloc.datasets.description import describe_labels
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.classification.populations import images_of_projection
from cxrloc.evaluation.data_counts import finding_counts, labelled_findings, view_counts
from cxrloc.evaluation.published import beside, check_counts, cited, published, published_findings
from cxrloc.files.installed import versions
from cxrloc.files.run_folder import held_folder
from cxrloc.files.table_writer import markdown_table, with_notes, write_csv
from cxrloc.files.whole import write_json, write_text
from cxrloc.inference.image_sets import part_of, read_images, with_file_labels
from cxrloc.phantom import NOT_OF_PATIENTS, is_synthetic


@dataclass(frozen=True, slots=True)
class CountOptions:
    """The options of `counts`, without its data.

    Attributes:
        labels: labels out of reports (`cxrloc label`) in place of the data set's own.
        split: which part of the data set, a name of `image_sets.SPLITS` but "own".
        projection: count images of this projection only, a name of `PROJECTIONS`; empty for all.
        findings: count these findings only; empty for all.
        beside: published tables of counts to show beside the data set's counts.
    """

    labels: Path | None = None
    split: str = "all"
    projection: str = ""
    findings: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class CountResult(NamedTuple):
    """Tables by the name of their file, and the run card; the files are written."""

    frames: Mapping[str, pd.DataFrame]
    run: dict[str, Any]


def count(data: Path, out: Path, options: CountOptions) -> CountResult:
    """Count a data set's images per finding and per view, and write the tables to `out`.

    For each published table, the data set is counted on that table's findings, so that overlaps and
    Normal refer to the same findings.

    Raises:
        UsageError: a name does not exist, or `out` cannot be written, or another run writes there.
        CxrlocError: the data or the labels cannot be read.
    """
    if options.split == "own":
        raise UsageError("--split own is the test part of a model, and counts has no model")
    check_counts(options.beside)
    with held_folder(out):
        return _count(data, out, options)


def _count(data: Path, out: Path, options: CountOptions) -> CountResult:
    declared = [
        *options.findings,
        *(f for name in options.beside for f in published_findings(name)),
    ]
    image_set = part_of(read_images(data, declared=declared), data, options.split, own_part=list)
    image_set = images_of_projection(image_set, options.projection)
    image_set = with_file_labels(image_set, options.labels, declared)
    records = image_set.records
    try:
        parts = official_parts_of(data, records)
    except CxrlocError:  # the data set has no published split, or its lists are not here
        parts = {}
    findings = options.findings or labelled_findings(records)
    frames = {"counts": finding_counts(records, findings), "views": view_counts(records, parts)}
    for name in options.beside:
        columns = published_findings(name)
        measured = finding_counts(records, columns) if columns else frames["views"]
        for metric in dict.fromkeys(published(name)["metric"]):
            measured = beside(measured, name, metric)
        frames[f"beside_{name.replace(':', '_')}"] = measured
    remarks = [NOT_OF_PATIENTS] if is_synthetic(data) else []
    run = {
        "versions": versions(),
        "data": {**describe_labels(image_set.name, records), "synthetic": bool(remarks)},
        "labels_from": label_origin(data, options.labels),
        "protocol": {"split": options.split, "projection": options.projection},
        "beside": [cited(name) for name in options.beside],
        "remarks": remarks,
        "notes": list(image_set.notes),
    }
    for name, frame in frames.items():
        write_csv(with_notes(frame, remarks), out / f"{name}.csv")
    lines = [f"Data: {image_set.name}; labels: {run['labels_from']}.", *remarks, *image_set.notes]
    write_text(out / "table.md", "\n\n".join([*lines, *map(markdown_table, frames.values())]))
    write_json(out / "run.json", run)
    return CountResult(frames, run)
