"""Settings of a training, which `train` and `lr-range` take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrloc.cli.missing_inputs import existing, existing_recipe
from cxrloc.cli.options import (
    DataSetName,
    FindingColumns,
    IdColumn,
    ImageDir,
    MaxMegapixels,
    OwnBoxes,
)
from cxrloc.cli.settings import image_data

if TYPE_CHECKING:
    from cxrloc.pipeline.train import TrainOptions

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        callback=existing_recipe,
        help="Name from `cxrloc recipes`, or a TOML file.",
    ),
]
TrainingFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        callback=existing,
        help="Folder of the recipe's data set, or of your own images with --labels or --boxes; "
        "phantoms need none.",
    ),
]
TrainingLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        callback=existing,
        help="Labels by `cxrloc label`, in place of the data set's own; or the table of labels of "
        "a plain folder of images.",
    ),
]
FirstWeights = Annotated[
    str,
    typer.Option(
        "--start", help="First weights, in place of the recipe's: a file, imagenet or scratch."
    ),
]
Fold = Annotated[
    int | None,
    typer.Option(
        "--fold",
        min=0,
        help="Use this one of the recipe's folds, numbered from 0. Train each into an --out of its "
        "own; `cxrloc classify --folds` then scores all of them together.",
    ),
]
ImageCache = Annotated[
    Path, typer.Option("--cache", help="Folder that keeps decoded images for the next run.")
]
TrainingPrecision = Annotated[
    str,
    typer.Option(
        "--precision", help="fp32, bf16 or fp16, in place of the precision of the recipe."
    ),
]
TrainingBatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        min=0,
        help="Images in one forward pass of each process. A step has as many images as the recipe "
        "says, in more or fewer passes.  [default: as the recipe says]",
        show_default=False,
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="The same run on the same device gives the same weights."),
]
Device = Annotated[
    str,
    typer.Option(help="Where the network runs: auto, cpu, cuda, cuda:1 (the second GPU) or mps."),
]


def training(
    recipe: RecipeName,
    data: TrainingFolder = None,
    labels: TrainingLabels = None,
    start: FirstWeights = "",
    fold: Fold = None,
    boxes: OwnBoxes = None,
    image_dir: ImageDir = None,
    id_column: IdColumn = "",
    finding_columns: FindingColumns = [],  # noqa: B006
    dataset: DataSetName = "",
    max_megapixels: MaxMegapixels = 80.0,
    cache: ImageCache = Path("cxrloc-cache"),
    precision: TrainingPrecision = "",
    batch_size: TrainingBatchSize = 0,
    deterministic: Deterministic = False,
    device: Device = "auto",
) -> "TrainOptions":
    """A recipe with the user's choices, and its data."""
    from cxrloc.pipeline.train import TrainOptions
    from cxrloc.recipe import Choices

    return TrainOptions(
        recipe,
        data,
        choices=Choices(start, fold, precision, batch_size),
        cache=cache,
        device=device,
        deterministic=deterministic,
        images=image_data(
            labels, boxes, image_dir, id_column, finding_columns, dataset, max_megapixels
        ),
    )
