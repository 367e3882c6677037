"""`cxrloc adopt`: makes a model of this package from weights that were trained elsewhere."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrloc.cli.missing_inputs import existing
from cxrloc.cli.terminal import clear_errors, console, plain_table, say


def adopt(
    weights: Annotated[
        list[Path] | None,
        typer.Argument(
            callback=existing,
            help="State dict, checkpoint (.pth, .pth.tar, .ckpt, .bin, .safetensors) or saved "
            "network; backbone and head may be two files. Nothing in them is executed.",
            show_default=False,
        ),
    ] = None,
    architecture: Annotated[
        str,
        typer.Option(help="Name in torchvision or timm, such as densenet121 or timm:resnet18."),
    ] = "",
    findings: Annotated[
        str,
        typer.Option(
            help="Outputs in order: names with commas between, a file with one per line, or "
            "chestxray8, chestxray14, chexpert14; - leaves an output out."
        ),
    ] = "",
    preset: Annotated[
        str,
        typer.Option(help="How images were prepared, or which published network it is."),
    ] = "imagenet",
    out: Annotated[Path, typer.Option(help="The model file.")] = Path("model.safetensors"),
    size: Annotated[
        int,
        typer.Option(
            min=0, help="Side of the input in pixels.  [default: the preset's]", show_default=False
        ),
    ] = 0,
    mean: Annotated[
        list[float] | None,
        typer.Option(
            help="Mean of grey levels in [0, 1], to be subtracted: one number, or one per channel."
        ),
    ] = None,
    std: Annotated[
        list[float] | None,
        typer.Option(
            help="Standard deviation of grey levels, to divide by: one number, or one per channel."
        ),
    ] = None,
    tokens: Annotated[
        str, typer.Option(help="What a transformer's head reads: class, patches or both.")
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="Pooling of logit maps in place of the average, such as pcam.")
    ] = "",
    key: Annotated[str, typer.Option(help="Where in the file the weights are, such as ema.")] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(help="Weights that the logits do not use, such as 'criterion.*'."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the model in every output.  [default: the name of --out]")
    ] = "",
    trained_on: Annotated[str, typer.Option(help="The training data, in words.")] = "",
    may_have_seen: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set whose images the model may have seen, such as ChestX-ray14; may be "
            "repeated."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "",
    probabilities: Annotated[
        str, typer.Option(help="How logits become probabilities: sigmoid or softmax.")
    ] = "",
    list_presets: Annotated[bool, typer.Option("--list", help="Show the presets.")] = False,
) -> None:
    """Make a model file out of weights that were trained elsewhere."""
    with clear_errors():
        from cxrloc.models.presets import PRESETS

        if list_presets:
            for known, each in PRESETS.items():
                say(f"{known:18} {each.about}")
            return
        if not weights:
            raise typer.BadParameter("name a file of weights", param_hint="WEIGHTS")
        from cxrloc.models.adoption import AdoptOptions
        from cxrloc.pipeline.adopt import adopt_file

        options = AdoptOptions(
            architecture,
            findings,
            preset,
            size,
            tuple(mean or ()),
            tuple(std or ()),
            tokens,
            pooling,
            key,
            tuple(without or ()),
            name,
            trained_on,
            tuple(may_have_seen or ()),
            licence,
            probabilities,
        )
        show_adopted(adopt_file(weights, out, options), out)


def show_adopted(adopted: Any, out: Path) -> None:
    """Print what was done with the file, the network's grid, two outputs and the checks."""
    from cxrloc.models.any_layer import layer_of_class_token

    for note in adopted.notes:
        say(note)
    model = adopted.model
    rows, columns = adopted.grid
    prepared = model.preprocessing
    say(
        f"network: {model.config.backbone}, input {prepared.size} x {prepared.size} x "
        f"{len(prepared.mean)}, {rows} x {columns} cells of {model.config.output_stride} pixels, "
        f"shifted by {model.network.cell_shift_pixels:g} pixels"
    )
    cells = [["finding", "phantom 1", "phantom 2"]]
    for column, finding in enumerate(model.card.findings):
        cells.append([finding, *(f"{row[column]:.4f}" for row in adopted.probabilities.tolist())])
    console().print(plain_table(cells))
    say(
        f"logits equal those of the features to {adopted.from_features:.1e}"
        + (
            ""
            if adopted.from_library is None
            else f", those of the library's own classifier to {adopted.from_library:.1e}"
        )
    )
    if layer := layer_of_class_token(model.network):
        say(
            "maps: its logits come from the class token, so class activation maps are flat: "
            f"cxrloc heatmap --method grad_cam --layer {layer}"
        )
    say(f"written: {out}; look at it with: cxrloc models {out}")
