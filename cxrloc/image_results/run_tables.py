"""Writes the tables of a `heatmap` run over all its images, and its `run.json`."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from cxrloc.files.csv_rows import csv_rows
from cxrloc.files.whole import write_json
from cxrloc.inference.prepared import Failure

FINDING_COLUMNS = (
    "finding",
    "probability",
    "raw_probability",
    "operating_point",
    "above_operating_point",
    "degenerate",
)
BOX_COLUMNS = ("x_min", "y_min", "x_max", "y_max", "threshold", "score")


class RunTables:
    """Writes the rows of each image as it is finished; the `with` block completes the files.

    - `findings.csv`: a row per image and finding.
    - `detections.csv`: a row per box, in the columns that `bench` writes and `--detections` reads.
    - `failures.csv`: a row per image that failed, with the reason.
    - `run.json`: versions, models with their limits, settings, counts, warnings with the number of
      their images.

    Images that an earlier call finished are in the tables too. The column `image` is the path of an
    image's files below the folder, without their endings.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        """The tables of a run in a folder; `run` is what `run.json` says beside the counts."""
        self._folder, self._run = folder, run
        self._counts: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._started = time.perf_counter()
        self._stack = ExitStack()

    def __enter__(self) -> "RunTables":
        def table(name: str, *columns: str) -> Any:
            return self._stack.enter_context(csv_rows(self._folder / name, ("image", *columns)))

        self._stack.__enter__()
        self._findings = table("findings.csv", "path", "status", *FINDING_COLUMNS)
        self._detections = table("detections.csv", "finding", *BOX_COLUMNS)
        self._failures = table("failures.csv", "path", "reason")
        return self

    def add(self, stem: Path, result: Mapping[str, Any] | Failure, skipped: bool) -> None:
        """Add the rows of one image.

        Args:
            stem: path of the image's files below the folder, without endings.
            result: the image's report, or its failure.
            skipped: whether an earlier call finished the image.
        """
        image = stem.as_posix()
        if isinstance(result, Failure):
            self._counts["failed"] += 1
            self._failures((image, result.image_id, result.reason))
            return
        self._counts["skipped" if skipped else "done"] += 1
        self._counts[result["status"]] += 1
        self._warnings.update(result["warnings"])
        for row in result["findings"]:
            cells = (row[column] for column in FINDING_COLUMNS)
            self._findings((image, result["image"], result["status"], *cells))
            for box in row["boxes"]:
                corners = (box[column] for column in BOX_COLUMNS)
                self._detections((image, row["finding"], *corners))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            counts = {name: self._counts[name] for name in ("done", "skipped", "failed", "outside")}
            seconds = round(time.perf_counter() - self._started, 1)
            card = {"command": "heatmap", **self._run, "images": counts}
            warnings = dict(self._warnings.most_common())
            write_json(
                self._folder / "run.json", {**card, "warnings": warnings, "seconds": seconds}
            )
