"""Scores the probabilities of an earlier `cxrloc classify` again, on a part of its images."""

from pathlib import Path

from cxrloc.errors import UsageError
from cxrloc.evaluation.resampling import Resampling
from cxrloc.evaluation.result_folders import PREDICTIONS, data_of, labels_of, read_run
from cxrloc.pipeline.classify import classify
from cxrloc.pipeline.classify_options import ClassifyOptions


def score_again(run: Path, projection: str, out: Path) -> None:
    """Score the probabilities of an earlier run on images of one projection, by its own protocol.

    Raises:
        UsageError: the folder is not one of `classify`, or its data are not on this disk.
        CxrlocError: the run's files cannot be read, or no image is of this projection.
    """
    earlier = read_run(run)
    if PREDICTIONS not in earlier.files or "protocol" not in earlier.card:
        raise UsageError(
            f"{run}: not a folder of `cxrloc classify` with {PREDICTIONS} and run.json"
        )
    protocol = earlier.card["protocol"]
    named = {run.name: earlier}
    data, joined = data_of(named)
    options = ClassifyOptions(
        (),
        predictions=earlier.files[PREDICTIONS],
        labels=labels_of(named, data),
        projection=projection,
        findings=tuple(protocol["findings"]),
        population=protocol["population"],
        unit=protocol["unit"],
        aggregation=protocol["aggregation"],
        uncertain=protocol["uncertain"],
        no_finding=protocol["no_finding"],
        operating_point=protocol["operating_point"],
        groups=(),
        resampling=Resampling(**protocol["resampling"]),
        data=joined,
    )
    classify(data, out, options)
