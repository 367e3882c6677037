"""Options that several commands share, so that a name means the same in every command."""

from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.missing_inputs import existing, existing_model

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
    typer.Option(
        "--log-json",
        is_eager=True,  # so that the checks of other options know it
        help="Write stderr as one JSON object per line, for machines.",
    ),
]
TruthLabels = Annotated[
    Path | None,
    typer.Option(
        callback=existing,
        help="Labels that are the truth, in place of the data set's own: as `cxrloc label` writes "
        "them, or the table of labels of a plain folder of images.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print warnings and failures only.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        callback=existing_model,
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
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Count an image outside what the model was made for as a failure."
    ),
]
Pairs = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        callback=existing,
        help="For two-view networks: a CSV of pairs with the columns frontal and lateral.  "
        "[default: pairs by study]",
        show_default=False,
    ),
]
PairingChoice = Annotated[
    str,
    typer.Option(
        "--pairing",
        help="Which image is paired if a study has several of a view: first, last, or each frontal "
        "one.",
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
    typer.Option(
        "--threshold",
        min=0,
        help="Grey level (0 to 255) above which a map becomes boxes; may be repeated: each gives "
        "boxes.",
    ),
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
    str,
    typer.Option(
        help="Versions of the image that are averaged: plain (the image alone), tta (test-time "
        "augmentation) or five-patch."
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        help="Library that runs the network: torch, onnx (onnxruntime; for exported graphs and "
        "embedded models), or auto: onnx where it can, if there is no GPU."
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where the network runs: auto (all GPUs, or the CPU), cpu, cuda, mps, or several GPUs "
        "with commas between (cuda:0,cuda:1), each with a process of its own.",
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
    typer.Option(
        help="Numbers the network computes in: fp32, bf16, fp16 or auto (fp16 on a CUDA GPU, else "
        "fp32)."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=1, help="Threads that read and draw; on a GPU, many images are read by processes."
    ),
]
TIobb = Annotated[
    list[float] | None,
    typer.Option(min=0, max=1, help="A box is correct above this IoBB; may be repeated."),
]
TIou = Annotated[
    list[float] | None,
    typer.Option(min=0, max=1, help="A box is correct above this IoU; may be repeated."),
]
Products = Annotated[
    bool,
    typer.Option(
        "--products",
        help="Multiply probabilities along CheXpert's tree: no child is above its parent.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Print every table, not only the main lines.")]
Projection = Annotated[
    str,
    typer.Option(
        "--projection", help="Use only images of this projection: PA, AP, frontal or lateral."
    ),
]
Finding = Annotated[
    list[str],
    typer.Option("--finding", help="Use only these findings, and their mean; may be repeated."),
]
PatientIds = Annotated[
    bool,
    typer.Option(
        "--patient-ids",
        help="With --by patient: write ids of patients instead of their keyed hashes.",
    ),
]
DataSetName = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Name of the data set. It tells your patient 1 from another data set's patient 1.  "
        "[default: known by its layout]",
        show_default=False,
    ),
]
AllowContaminated = Annotated[
    bool,
    typer.Option(
        "--allow-contaminated",
        help="Score also patients on whom the model was trained; every output then says so.",
    ),
]
ImageDir = Annotated[
    Path | None,
    typer.Option(
        "--image-dir",
        callback=existing,
        help="Folder of the images, if they do not lie beside the tables.",
    ),
]
OwnLabels = Annotated[
    Path | None,
    typer.Option(
        "--labels", callback=existing, help="Table of labels for a plain folder of images."
    ),
]
OwnBoxes = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        callback=existing,
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
        help="Column of --labels that holds a finding; may be repeated.  [default: found by name]",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random draw.")]
Resamples = Annotated[
    int,
    typer.Option(
        min=0, help="Number of resamples of the bootstrap over patients; 0 gives no intervals."
    ),
]
Beside = Annotated[
    list[str],
    typer.Option(
        metavar="PAPER:TABLE",
        help="Show published numbers beside the results; `--beside list` names the tables.",
    ),
]
Html = Annotated[
    bool,
    typer.Option(
        "--html", help="Also write report.html, one page in which the run can be explored."
    ),
]
