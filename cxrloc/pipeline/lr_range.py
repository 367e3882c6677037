"""`cxrloc lr-range`: a recipe's loss while its learning rate rises, as a table and a plot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cxrloc.datasets.image_cache import Watch
from cxrloc.devices import choose_device
from cxrloc.files.run_folder import make_folder
from cxrloc.files.table_writer import with_notes, write_csv
from cxrloc.panels.figure_files import figure_paths, write_figure
from cxrloc.panels.lr_range import draw_lr_range
from cxrloc.panels.plots import FigureRequest, figure_style
from cxrloc.phantom import NOT_OF_PATIENTS
from cxrloc.pipeline.train import TrainOptions, check_before_data, recipe_of
from cxrloc.training.data import training_data
from cxrloc.training.distributed import own_device, processes
from cxrloc.training.feeding import feeding_for, images_learned, training_batches
from cxrloc.training.fit_config import resolved
from cxrloc.training.hardware import computing
from cxrloc.training.lr_range import RangeConfig, RangePoint, boundaries
from cxrloc.training.lr_range import lr_range as range_test
from cxrloc.training.stages import build, with_values

PointWatch = Callable[[Iterable[RangePoint]], Iterable[RangePoint]]


class RangeResult(NamedTuple):
    """The results of a range test, beside its files.

    Attributes:
        points: one per step.
        falls: learning rates between which the loss falls; None if the loss never falls.
        diverged: whether the test ended before its last step.
        failures: images that could not be read, and why.
        warnings: warnings about the data, as in `TrainingData`.
        files: the files that were written.
    """

    points: Sequence[RangePoint]
    falls: tuple[float, float] | None
    diverged: bool
    failures: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    files: Sequence[Path]


def lr_range(
    out: Path | None,
    options: TrainOptions,
    config: RangeConfig,
    decoding: Watch,
    watch: PointWatch,
) -> RangeResult:
    """Write `lr_range.csv` (learning_rate, loss, smoothed) and its plot to `out`.

    Under `torchrun`, every process calls this function; those after the first write no files, and
    their `out` is None.

    Raises:
        UsageError: an option names nothing that exists, or `out` cannot be written.
        CxrlocError: the recipe or the data cannot be used.
    """
    _, recipe = recipe_of(options)
    if out is not None:
        make_folder(out)
    with processes(choose_device(own_device(options.device))) as device:
        check_before_data(recipe, options)
        data = training_data(recipe, options.data, options.cache, options.images, decoding)
        network = build(recipe, data, device)
        images = images_learned(with_values(data, network).train, recipe, recipe.data.condition)
        fit = replace(resolved(recipe.fit, len(images.slots)), steps=config.steps)
        feeding = feeding_for(recipe, fit, recipe.data.condition, device)
        batches = partial(training_batches, images, feeding, fit)
        with computing(fit.hardware, device, options.deterministic):
            points = [*watch(range_test(network, batches, fit, config))]
    notes = [NOT_OF_PATIENTS] if data.description["synthetic"] else []
    return RangeResult(
        points=points,
        falls=boundaries(points),
        diverged=len(points) < config.steps,
        failures=data.failures,
        warnings=data.warnings,
        files=[] if out is None else _write(out, points, recipe.title, notes),
    )


def _write(out: Path, points: Sequence[RangePoint], title: str, notes: Sequence[str]) -> list[Path]:
    """Write the table and the plot of a range test; returns their paths."""
    table, figures = out / "lr_range.csv", figure_paths(out / "lr_range")
    write_csv(with_notes(pd.DataFrame(points), notes), table, float_format=None)
    with figure_style():
        request = FigureRequest(width="single", caption="; ".join([title, *notes]))
        write_figure(draw_lr_range([out], request), figures)
    return [table, *figures]
