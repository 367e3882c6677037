"""`cxrloc train`: trains a model by a recipe on a data set."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrloc.cli.options import LogJson, Out, Quiet
from cxrloc.cli.settings import with_settings
from cxrloc.cli.terminal import (
    clear_errors,
    console,
    decoded,
    plain_table,
    say,
    show_failures,
    show_warnings,
)
from cxrloc.cli.training_settings import training

if TYPE_CHECKING:
    from cxrloc.pipeline.train import TrainOptions


@with_settings(options=training)
def train(
    *,
    options: "TrainOptions",
    out: Out = Path("cxrloc-train"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --out, if any.")
    ] = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Train a recipe; under `torchrun`, on several GPUs or hosts."""
    with clear_errors(quiet, log_json, go_on="Call it again with --resume to go on."):
        from cxrloc.pipeline import train as flow
        from cxrloc.training.distributed import is_main_process

        first = is_main_process()
        hidden = quiet or not first
        with _shown_progress(hidden) as moment:
            watch = flow.TrainWatch(
                decoding=lambda images: decoded(images, hidden),
                data=lambda data: show_data(data, quiet) if first else None,
                moment=moment,
            )
            result = flow.train(out, replace(options, resume=resume), watch)
        if not hidden:
            show_result(result, out)
        if first:  # images that cannot be read do not make the training fail
            show_warnings(result.warnings)
            show_failures(result.failures)


def show_data(data: Any, quiet: bool) -> None:
    """Print images, patients and prevalence of each part; what leaks, is shuffled or unknown."""
    show_warnings(data.warnings)
    if quiet:
        return
    parts = data.description["parts"]
    findings = next(iter(parts.values()))["positive_of_labelled"]
    rows = [["", *parts]]
    for what in ("images", "images_missing", "patients"):
        rows.append([what.replace("_", " "), *(str(part[what]) for part in parts.values())])
    rows.append(["share of images", *(f"{part['share_of_images']:.1%}" for part in parts.values())])
    for finding in findings:
        cells = []
        for part in parts.values():
            positive, labelled = part["positive_of_labelled"][finding]
            cells.append(f"{positive} ({positive / max(labelled, 1):.1%})")
        rows.append([finding, *cells])
    screen = console()
    screen.print(plain_table(rows))
    if data.unlisted:
        screen.print(f"Left out, as no official list names them: {data.unlisted} images.")
    if data.left_out:
        screen.print(f"Left out, as an expert drew a box for the patient: {data.left_out} images.")
    if data.parts.leaking:
        screen.print("Split by image: patients leak from one part into another.")
    if data.description["synthetic"]:
        screen.print("The radiographs are synthetic: no number here is of patients.")
    if data.description["labels_shuffled"]:
        screen.print("The training labels are shuffled: nothing can be learned.")


def show_result(result: Any, out: Path) -> None:
    """Print the scores of the kept weights on the validation images."""
    from cxrloc.datasets.splits import LEAKS

    scores = dict(result.run["validation"])
    leaking = scores.pop(LEAKS, None)
    if scores:
        rows = [["validation", ""], *([name, f"{value:.3f}"] for name, value in scores.items())]
        console().print(plain_table(rows))
    if leaking:
        console().print("Split by image: patients leak into these scores.")
    console().print(f"Training patients: {result.run['patients']}.", highlight=False)
    console().print(f"Model, metrics and run.json are in {out}", highlight=False)


@contextmanager
def _shown_progress(quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Show a bar with loss, AUC, speed and time left; in a pipe, a line after each validation."""
    from rich.progress import BarColumn, Progress, TextColumn

    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        steps: list[int] = []

        def line(moment: Any) -> None:
            at = int(moment.validation.get("step", 0))
            if not quiet and at not in (0, *steps[-1:]):
                steps.append(at)
                say(f"step {moment.step} of {moment.steps}: {_numbers(moment)}")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[numbers]}"))
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task("Training", total=None, numbers="")
        yield lambda moment: bar.update(
            task, total=moment.steps, completed=moment.step, numbers=_numbers(moment)
        )


def _numbers(moment: Any) -> str:
    """A line with loss, last AUC (and whether patients leak into it), speed and time left."""
    from cxrloc.datasets.splits import LEAKS

    minutes, seconds = divmod(round(moment.seconds_left), 60)
    area = moment.validation.get("mean_auc")
    leak = " (patients leak)" if moment.validation.get(LEAKS) else ""
    parts: Iterable[str] = (
        f"loss {moment.loss:.4f}",
        *(() if area is None else (f"AUC {area:.3f}{leak}",)),
        f"{moment.images_per_second:.1f} images/s",
        f"{minutes}:{seconds:02d} left",
    )
    return ", ".join(parts)
