"""`cxrloc figure`: draws a figure for print or for a slide from results on disk."""

import csv
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.evaluation.beside import refuse_beside_synthetic
from cxrloc.evaluation.classification.populations import PROJECTIONS
from cxrloc.files.run_folder import make_folder
from cxrloc.files.whole import write_text
from cxrloc.models.names import MODELS
from cxrloc.panels.figure_files import check_height, figure_paths, write_figure
from cxrloc.panels.lettering import INCH_MM
from cxrloc.panels.panels import PANELS
from cxrloc.panels.plots import WIDTHS_MM, FigureRequest, figure_style
from cxrloc.panels.results import any_synthetic, data_notes, leaks, run_names
from cxrloc.pipeline.bench_again import score_boxes_again
from cxrloc.pipeline.classify_again import score_again
from cxrloc.recipe import read_recipe
from cxrloc.recipe_names import RECIPES
from cxrloc.report_page.gallery import gallery_page
from cxrloc.training.fit_config import planned_rates

_PLANNED = "training"
"""The panel that also takes a recipe."""

_AGAIN = {"scores": score_again, "boxes": score_boxes_again}
"""The functions that score runs again on one projection, by the value of `Panel.projections`."""

_LEAK = "Split by image: patients leak from training into these scores."


def figure(
    panel: str,
    results: Sequence[Path],
    out: Path,
    request: FigureRequest,
    dark: bool = False,
    training_images: int = 0,
) -> list[Path]:
    """Draw one panel and write it.

    Args:
        panel: a name of `PANELS`.
        results: what the panel reads; for "training" also recipes, whose planned learning rates of
            all stages are shown in a row and need no run.
        out: a file, whose suffix is the format, or a name without suffix for every format.
        request: width and choices.
        dark: for slides.
        training_images: number of images, for a recipe that counts epochs.

    Returns:
        The files written.

    Raises:
        UsageError: no such panel or format, a path does not exist, or `out` cannot be made.
        CxrlocError: a result is not what the panel reads, or a font is missing.
    """
    if panel not in PANELS:
        raise UsageError(f"{panel}: no such panel; choose from {', '.join(PANELS)}")
    if not results:
        raise UsageError(f"{panel}: name the results to draw; it reads {PANELS[panel].reads}")
    names = RECIPES if panel == _PLANNED else MODELS
    for path in results:
        if not path.exists() and str(path) not in names:
            raise UsageError(f"{path}: no such file or folder")
    _check_choices(panel, request)
    if any_synthetic(results):
        refuse_beside_synthetic(request.beside)
    beside = tuple(dict.fromkeys(request.beside))
    notes = [*([_LEAK] if any(map(leaks, results)) else []), *data_notes(results, request.names)]
    if request.projection:
        notes.append(f"{request.projection} images only.")
    caption = " ".join([*notes, request.caption]).rstrip()
    request = replace(request, beside=beside, caption=caption)
    paths = figure_paths(out)
    make_folder(out.parent)
    with tempfile.TemporaryDirectory() as folder, figure_style(dark):
        read = [
            _plan(path, Path(folder), training_images)
            if panel == _PLANNED and _is_recipe(path)
            else path
            for path in results
        ]
        if request.projection and PANELS[panel].projections in _AGAIN:
            again = _AGAIN[PANELS[panel].projections]
            read = _of_projection(results, request.projection, Path(folder), again)
        drawn = PANELS[panel].draw(read, request)
        check_height(drawn)
        write_figure(drawn, paths)
    return paths


def gallery(
    results: Sequence[Path], out: Path, request: FigureRequest, dark: bool = False
) -> list[str]:
    """Draw every panel that the results give, and write one page to choose from.

    Args:
        results: of one run, or a data set.
        out: the HTML file.
        request: width and choices, the same for all panels.
        dark: for slides.

    Returns:
        The names of the panels drawn.

    Raises:
        UsageError: a path does not exist.
        CxrlocError: the results give no panel.
    """
    pictures: dict[str, tuple[bytes, str]] = {}
    refused: dict[str, str] = {}
    named = " ".join(shlex.quote(str(path)) for path in results)
    for path in results:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    with tempfile.TemporaryDirectory() as folder:
        for panel in PANELS:
            try:
                (path,) = figure(panel, results, Path(folder) / f"{panel}.png", request, dark)
            except CxrlocError as error:
                refused[panel] = str(error)
            else:
                pictures[panel] = path.read_bytes(), _command(panel, results, request, dark)
    if not pictures:
        raise CxrlocError(f"{named}: no panel can be drawn from it; see `cxrloc figure --list`")
    width = round(WIDTHS_MM[request.width] * 96 / INCH_MM)  # CSS: an inch has 96 pixels
    write_text(out, gallery_page(f"Figures of {named}", pictures, width, refused))
    return list(pictures)


def _command(panel: str, results: Sequence[Path], request: FigureRequest, dark: bool) -> str:
    """The command that draws a panel as a gallery shows it."""
    options: dict[str, tuple[str, ...]] = {
        "--width": (request.width,),
        "--finding": request.findings,
        "--image": request.images,
        "--beside": request.beside,
        "--name": request.names,
        "--projection": (request.projection,) if request.projection else (),
    }
    words = ["cxrloc", "figure", panel, *map(str, results)]
    words += [
        word for name, values in options.items() for value in values for word in (name, value)
    ]
    return shlex.join([*words, *(["--dark"] if dark else [])])


def _check_choices(panel: str, request: FigureRequest) -> None:
    """Refuse a choice of images or findings that the panel does not have."""
    fixed, projection = PANELS[panel].fixed, request.projection
    if fixed and (projection or request.findings):
        option = "--projection" if projection else "--finding"
        raise UsageError(f"{option} is not for {panel}: {fixed}")
    if not projection:
        return
    if projection not in PROJECTIONS:
        raise UsageError(f"--projection {projection}: choose from {', '.join(PROJECTIONS)}")
    if not PANELS[panel].projections:
        raise UsageError(
            f"--projection is not for {panel}: it shows one image; choose it with --image"
        )


def _of_projection(
    results: Sequence[Path],
    projection: str,
    folder: Path,
    again: Callable[[Path, str, Path], None],
) -> list[Path]:
    """Runs that are scored again on images of one projection, under their names.

    A file of readers belongs to no run and stays as it is.
    """
    runs = [path for path in results if path.is_dir()]
    scored = {}
    for path, name in zip(runs, run_names(runs), strict=True):
        scored[path] = folder / name.replace("/", "_")
        again(path, projection, scored[path])
    return [scored.get(path, path) for path in results]


def _is_recipe(path: Path) -> bool:
    return path.suffix == ".toml" or (str(path) in RECIPES and not path.exists())


def _plan(recipe: Path, folder: Path, training_images: int) -> Path:
    """The learning rates that a recipe plans, as `metrics.csv` in a folder of the recipe's name."""
    out = folder / recipe.stem
    out.mkdir(exist_ok=True)
    known = read_recipe(recipe)
    stages = [known.fit] if known.head is None else [known.fit, known.head]
    with (out / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("step", "learning_rate"))
        rows.writerows(planned_rates(stages, training_images))
    return out
