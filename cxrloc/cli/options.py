"""Options that several commands share, so that a name means the same in every command."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
NewOut = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="Folder for the results.  [default: cxrloc-COMMAND, or the next free number]",
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Remove what another run wrote into --out, and begin anew."),
]
LogJson = Annotated[
    bool,
    typer.Option("--log-json", help="Write stderr as one JSON object per line, for machines."),
]
TruthLabels = Annotated[
    Path | None,
    typer.Option(help="Labels out of reports, as `cxrloc label` writes them, for the truth."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print warnings and failures only.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Name from `cxrloc models`, a model file, hf:ORG/NAME, or a function of your own "
        "(file.py:function, module:function); several make an ensemble.",
    ),
]
BelowOperatingPoint = Annotated[
    bool,
    typer.Option(
        "--below-operating-point",
        help="Also draw and write boxes of findings below their operating point.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Give boxes and operating points to images outside what the model was made for.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="An image outside counts as a failure.")]
Pairs = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        help="For two-view networks: CSV with the columns frontal, lateral.  [default: by study]",
        show_default=False,
    ),
]
PairingChoice = Annotated[
    str,
    typer.Option(
        "--pairing",
        help="Of a study with several images of a view: first, last, or each frontal one.",
    ),
]
MaxMegapixels = Annotated[
    float,
    typer.Option(
        "--max-megapixels", min=0.001, help="Refuse images of more million pixels than this."
    ),
]
Thresholds = Annotated[
    list[float],
    typer.Option("--threshold", min=0, help="Of the box rule, below 255; each gives boxes."),
]
BoxRuleName = Annotated[
    str,
    typer.Option(
        "--box-rule",
        help="How maps become boxes: two-threshold, one-box (the largest region above a threshold "
        "for each finding, from the model's card, in bench also chosen on --tuning patients, who "
        "are then not scored) or hottest-share (around the hottest 5 % of the cells).",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        help="cam, probability_cam, grad_cam, grad_cam_plus_plus, xgrad_cam, hirescam, layer_cam, "
        "grad_cam_elementwise, ablation_cam, eigen_cam, eigen_grad_cam, seg_eigen_cam, kpca_cam, "
        "fem, shapley_cam or score_cam; for transformers of timm also attention_rollout, "
        "class_attention or legrad."
    ),
]
Layer = Annotated[
    str,
    typer.Option(
        help="Layer whose output a gradient method explains, such as layer4 or blocks.11.norm1.  "
        "[default: the network's features]",
        show_default=False,
    ),
]
Versions = Annotated[
    str, typer.Option(help="Of the image: plain, or averaged over tta or five-patch.")
]
RecipeName = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Name from `cxrloc recipes`, or a TOML file.")
]
TrainingFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of the recipe's data set, or of your own images with --labels or --boxes; "
        "phantoms need none.",
    ),
]
TrainingLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        help="Labels by `cxrloc label`, in place of the data set's own; or the table of labels of "
        "a plain folder of images.",
    ),
]
FirstWeights = Annotated[
    str,
    typer.Option(
        "--start", help="First weights, in place of the recipe's: a file, imagenet, scratch."
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
    str, typer.Option("--precision", help="fp32, bf16 or fp16, in place of the recipe's.")
]
TrainingBatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        min=0,
        help="Images in one forward pass of each process; the images of a step stay those of the "
        "recipe, in more or fewer passes.  [default: as the recipe says]",
        show_default=False,
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option("--deterministic", help="The same run on the same device gives the same weights."),
]
Backend = Annotated[
    str,
    typer.Option(
        help="Library that runs the network: torch, onnx (onnxruntime; for exported graphs and "
        "embedded models), or auto: onnx where it can, if there is no GPU."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        help="auto (all GPUs, or the CPU), cpu, cuda, mps, or several, as cuda:0,cuda:1: a process "
        "for each.",
    ),
]


def _batch_size(value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or not int(value):
        raise typer.BadParameter(f"{value!r} is neither auto nor a number of images above 0.")
    return int(value)


BatchSize = Annotated[
    int | None,
    typer.Option(
        parser=_batch_size,
        metavar="N|auto",
        help="Images in one forward pass on a GPU, halved while they do not fit; a CPU takes one "
        "at a time.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(help="Of the network: fp32, bf16, fp16, or auto: fp16 on a CUDA GPU, else fp32."),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1, help="Threads that read and draw; on a GPU, many images are read by processes."
    ),
]
TIobb = Annotated[list[float] | None, typer.Option(min=0, max=1, help="Correct above this IoBB.")]
TIou = Annotated[list[float] | None, typer.Option(min=0, max=1, help="Correct above this IoU.")]
Products = Annotated[
    bool,
    typer.Option(
        "--products",
        help="Multiply probabilities along CheXpert's tree: no child is above its parent.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Print every table, not the main lines alone.")]
Projection = Annotated[
    str, typer.Option("--projection", help="Score images of PA, AP, frontal or lateral only.")
]
Finding = Annotated[
    list[str],
    typer.Option("--finding", help="Score these findings only, and their mean; may be repeated."),
]
PatientIds = Annotated[
    bool,
    typer.Option("--patient-ids", help="With --by patient: write ids, not keyed hashes of them."),
]
DataSetName = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Name of the data set, where its patients are not those of another one with the same "
        "numbers.  [default: by its layout]",
        show_default=False,
    ),
]
AllowContaminated = Annotated[
    bool,
    typer.Option(
        "--allow-contaminated",
        help="Score patients that trained the model too; every output then says so.",
    ),
]
ImageDir = Annotated[
    Path | None,
    typer.Option("--image-dir", help="Folder of the images, if they do not lie beside the tables."),
]
OwnLabels = Annotated[
    Path | None,
    typer.Option("--labels", help="Table of labels for a plain folder of images."),
]
OwnBoxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        help="Truth for a plain folder of images: CSV, COCO JSON, DICOM SR or SEG, or a folder of "
        "VOC XML, YOLO, LabelMe, masks (finding/image.png), SR or SEG.",
    ),
]
IdColumn = Annotated[
    str,
    typer.Option(
        "--id",
        help="Column of --labels that names the image.  [default: found by its cells]",
        show_default=False,
    ),
]
FindingColumns = Annotated[
    list[str],
    typer.Option(
        "--finding-columns",
        help="Column of --labels that holds a finding; may be repeated.  [default: by name]",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of every random draw.")]
Resamples = Annotated[int, typer.Option(min=0, help="Of the patient bootstrap.")]
Beside = Annotated[
    list[str],
    typer.Option(
        metavar="PAPER:TABLE", help="Show these published numbers beside; `list` names them."
    ),
]
Html = Annotated[
    bool, typer.Option("--html", help="Also write report.html, one page to explore the run in.")
]


class Unit(StrEnum):
    """What `classify` scores."""

    IMAGE = "image"
    STUDY = "study"
    PATIENT = "patient"


class Aggregation(StrEnum):
    """How the scores of a unit's images are combined to the unit's score."""

    MAX = "max"
    MEAN = "mean"


class Uncertain(StrEnum):
    """What an uncertain label means for the truth."""

    UNKNOWN = "unknown"
    NEGATIVE = "negative"


class NoFinding(StrEnum):
    """What makes the truth of No Finding."""

    LABELS = "labels"
    OUTPUTS = "outputs"


class Group(StrEnum):
    """Groups of units that can be reported separately."""

    VIEW = "view"
    SEX = "sex"
    AGE = "age"


ByUnit = Annotated[Unit, typer.Option("--by", help="What is scored.")]
Aggregate = Annotated[
    Aggregation,
    typer.Option("--aggregation", help="How the images of a study or patient become its score."),
]
