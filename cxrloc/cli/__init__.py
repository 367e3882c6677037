"""The command line: a module per command parses options, calls `pipeline` and prints the results.

No heavy library is imported before a command runs, so that every `--help` answers at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cxrloc.cli.adopt import adopt
from cxrloc.cli.archive import archive
from cxrloc.cli.bench import bench
from cxrloc.cli.classify import classify
from cxrloc.cli.compare import compare
from cxrloc.cli.counts import counts
from cxrloc.cli.export import export
from cxrloc.cli.figure import figure
from cxrloc.cli.heatmap import heatmap
from cxrloc.cli.label import label
from cxrloc.cli.lr_range import lr_range
from cxrloc.cli.manifest import manifest
from cxrloc.cli.models import models
from cxrloc.cli.node import node
from cxrloc.cli.page import page
from cxrloc.cli.phantom import phantom
from cxrloc.cli.recipes import recipes
from cxrloc.cli.send import send
from cxrloc.cli.terminal import clear_errors, log
from cxrloc.cli.train import train
from cxrloc.cli.trust import trust

EXAMPLES: dict[Callable[..., None], str] = {
    heatmap: "cxrloc phantom chests --n 4 --format dicom && cxrloc heatmap chests/images",
    bench: "cxrloc bench --t-iobb 0.5",
    classify: "cxrloc classify --by patient --tuning 0.3",
    compare: "cxrloc classify --out a && cxrloc classify --versions tta --out b"
    " && cxrloc compare a b",
    counts: "cxrloc phantom chests --n 8 && cxrloc counts chests",
    trust: "cxrloc trust --images 2",
    figure: "cxrloc classify --out run && cxrloc figure roc run --width single --out roc.pdf",
    label: "echo 'No effusion. Possible mass.' > report.txt && cxrloc label report.txt",
    train: "cxrloc train phantom_few",
    lr_range: "cxrloc lr-range phantom_few --steps 20",
    recipes: "cxrloc recipes",
    models: "cxrloc models --default",
    adopt: "cxrloc adopt --list",
    export: "cxrloc export phantom-v1 --to onnx --out phantom.onnx",
    page: "npm install onnxruntime-web dicom-parser jpeg-lossless-decoder-js "
    "@cornerstonejs/codec-charls @cornerstonejs/codec-openjpeg && cxrloc page --out demo.html",
    send: "cxrloc heatmap image.dcm --write sr,sc --out results && "
    "cxrloc send results --to PACS@127.0.0.1:4242",
    node: "cxrloc node node.toml",
    manifest: "cxrloc phantom chests --n 4 --format dicom && "
    "cxrloc manifest chests/images --clear-ids --where \"view = 'PA'\"",
    archive: "cxrloc phantom chests --n 4 --format dicom && "
    "cxrloc manifest chests/images --clear-ids && "
    "cxrloc archive manifest.parquet --model phantom-v1 && cxrloc archive status cxrloc-archive",
    phantom: "cxrloc phantom chests --n 8 && cxrloc bench chests --model phantom-v1",
}
"""The commands in the order of `cxrloc --help`, each with an example that runs."""


_CommandLineError: Any = typer.BadParameter.__mro__[2]
"""`ClickException`, the class of all errors in a command line. Typer exports only a subclass; the
class itself is in click, or in newer versions of typer in a private copy of click."""


class _Commands(TyperGroup):
    """The commands, of which wrong usage is one line of JSON too where `--log-json` is given."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        ctx.meta["log_json"] = "--log-json" in args
        with _errors_as_json(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with _errors_as_json(ctx):
            return super().invoke(ctx)


@contextmanager
def _errors_as_json(ctx: typer.Context) -> Iterator[None]:
    try:
        yield
    except _CommandLineError as error:
        if not ctx.meta["log_json"]:
            raise
        with clear_errors(log_json=True):
            log.error("Error: %s", error.format_message())
            raise typer.Exit(error.exit_code) from None


app = typer.Typer(
    name="cxrloc",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(requested: bool) -> bool:
    if requested:
        from importlib.metadata import version

        typer.echo(f"cxrloc {version('cxrloc')}")
        raise typer.Exit
    return requested


@app.callback()
def _options_before_the_command(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Weakly-supervised localization for chest radiographs. Research only: not for diagnosis."""


for command, example in EXAMPLES.items():
    app.command(epilog=f"Example: {example}")(command)
