"""Groups of settings that several commands take: their options, defaults and objects.

`@with_settings(images=image_data)` above a command replaces its parameter `images` with the options
of the function `image_data`; the command gets what this function makes of them.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrloc.cli.missing_inputs import refuse_missing
from cxrloc.cli.options import (
    BatchSize,
    DataSetName,
    Devices,
    FindingColumns,
    IdColumn,
    ImageDir,
    Layer,
    LogJson,
    MaxMegapixels,
    NewOut,
    Overwrite,
    OwnBoxes,
    OwnLabels,
    PairingChoice,
    Pairs,
    Precision,
    Quiet,
    Seed,
    Versions,
    Workers,
)
from cxrloc.cli.terminal import clear_errors

if TYPE_CHECKING:
    from cxrloc.files.run_folder import Destination
    from cxrloc.inference.image_sets import DataOptions
    from cxrloc.inference.paired_images import Pairing
    from cxrloc.inference.prepared import InferenceSettings


def with_settings(
    first: Callable[..., None] | None = None,
    **groups: Callable[..., Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that gives a command the options of groups of settings.

    An option that both the command and a group have is one option, which the command describes;
    both get its value.

    Args:
        first: is called with the options that it names, before the settings are made: for checks
            that need no heavy library.
        groups: for each parameter of the command, the function that makes it out of its options.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters = inspect.signature(command).parameters
        described = {name: each for name, each in parameters.items() if name not in groups}
        options: dict[str, inspect.Parameter] = {}
        for name, parameter in parameters.items():
            if name in groups:
                of_group = inspect.signature(groups[name]).parameters
                options |= {each: described.get(each, of_group[each]) for each in of_group}
            else:
                options[name] = parameter

        @wraps(command)
        def with_options(**values: Any) -> None:
            def called(function: Callable[..., Any]) -> Any:
                return function(
                    **{name: values[name] for name in inspect.signature(function).parameters}
                )

            if first is not None:
                called(first)
            settings = {name: called(make) for name, make in groups.items()}
            command(**{name: {**values, **settings}[name] for name in parameters})

        # Typer reads the options from the signature and from the annotations.
        by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in options.values()]
        with_options.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
        with_options.__annotations__ = {each.name: each.annotation for each in by_name}
        return with_options

    return decorate


def check_images(paths: list[Path], quiet: Quiet = False, log_json: LogJson = False) -> None:
    """End if none of the images exists."""
    with clear_errors(quiet, log_json):
        refuse_missing(paths)


def destination(out: NewOut = None, overwrite: Overwrite = False) -> "Destination":
    """Where a run's results go."""
    from cxrloc.files.run_folder import Destination

    return Destination(out, overwrite)


def image_data(
    labels: OwnLabels = None,
    boxes: OwnBoxes = None,
    image_dir: ImageDir = None,
    id_column: IdColumn = "",
    finding_columns: FindingColumns = [],  # noqa: B006 (typer copies it)
    dataset: DataSetName = "",
    max_megapixels: MaxMegapixels = 80.0,
) -> "DataOptions":
    """What the user says about a data set."""
    from cxrloc.inference.image_sets import DataOptions

    return DataOptions(
        data_set=dataset,
        max_megapixels=max_megapixels,
        image_dir=image_dir,
        labels=labels,
        boxes=boxes,
        id_column=id_column,
        finding_columns=tuple(finding_columns),
    )


def view_pairing(pairs: Pairs = None, pairing: PairingChoice = "first") -> "Pairing":
    """How images are paired, for networks that read two views."""
    from cxrloc.inference.paired_images import Pairing

    return Pairing(pairs, pairing)


def inference_settings(
    layer: Layer = "",
    versions: Versions = "plain",
    device: Devices = "auto",
    batch_size: BatchSize = "auto",  # type: ignore[assignment]
    precision: Precision = "auto",
    workers: Workers = 2,
    seed: Seed = 0,
) -> "InferenceSettings":
    """How a model is run."""
    from cxrloc.inference.prepared import InferenceSettings

    return InferenceSettings(
        versions=versions,
        device=device,
        batch_size=batch_size,
        precision=precision,
        workers=workers,
        seed=seed,
        layer=layer,
    )
