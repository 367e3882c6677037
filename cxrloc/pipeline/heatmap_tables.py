"""The tables of a `heatmap` run, beside the files of its images, and its `run.json`."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from cxrloc.files.csv_rows import csv_rows
from cxrloc.files.whole import write_json
from cxrloc.inference.batches import Failure

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
    """Rows of every image as it is done; the files are whole when the `with` block ends.

    - `findings.csv`: a row per image and finding.
    - `detections.csv`: a row per box, in the columns that `bench` writes and `--detections` reads.
    - `failures.csv`: a row per image that failed, with the reason.
    - `run.json`: versions, models with their limits, settings, counts, warnings with the number of
      their images.

    Images that an earlier call had done are in the tables too. `image` is the place of an image's
    files below the folder, without ending.
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
            stem: place of the image's files below the folder.
            result: its report, or why it failed.
            skipped: an earlier call had done it.
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
