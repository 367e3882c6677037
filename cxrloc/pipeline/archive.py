"""`cxrloc archive`: runs models over the images of a manifest, part by part.

This module decides which parts still have to be computed. `archive.image_steps` has the way from an
image to its rows, and `archive.engines` runs these steps on one machine or on a Ray cluster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from cxrloc.archive.engines import ENGINES
from cxrloc.archive.image_steps import (
    ArchiveOptions,
    archive_steps,
    check_one_view,
    resources_of,
)
from cxrloc.archive.plan import make_plan
from cxrloc.archive.results import claim_results, complete_parts
from cxrloc.archive.store import absolute, content_hash
from cxrloc.archive.tables import PartCounts
from cxrloc.errors import UsageError
from cxrloc.files.installed import versions
from cxrloc.image_results.report import box_rule_of
from cxrloc.inference.batches import with_precision
from cxrloc.inference.localize import localizer
from cxrloc.inference.prepared import check_names, chosen_findings
from cxrloc.localization.box_rules import check_box_rule
from cxrloc.localization.regions import check_thresholds
from cxrloc.models.model import Model
from cxrloc.models.provenance import describe_models
from cxrloc.models.weights import read_model


class Engine(NamedTuple):
    """Where the images are computed; no field changes a result.

    Attributes:
        name: a name of `ENGINES`.
        address: of a running Ray cluster; empty for one on this machine.
        shard: number of this run's shard, and number of shards.
    """

    name: str = "local"
    address: str = ""
    shard: tuple[int, int] = (0, 1)


def archive(
    manifest: str,
    out: str,
    options: ArchiveOptions,
    engine: Engine,
    expect: Callable[[int], None] = lambda parts: None,
) -> Iterator[PartCounts]:
    """Yields each part of the manifest when it is written; parts that are complete are left out.

    Args:
        manifest: path or URI of a Parquet file with a column `uri`.
        out: folder or URI of the results.
        options: everything that changes a result.
        engine: everything else.
        expect: is called with the number of parts that are left.

    Raises:
        UsageError: a name does not exist, a device is named for Ray, the manifest cannot be used,
            or `out` holds the results of another run.
        CxrlocError: the results cannot be written.
    """
    check_names("--engine", [engine.name], ENGINES)
    device = options.inference.device
    if engine.name == "ray" and device != "auto" and (device != "cpu" or engine.address):
        raise UsageError(
            f"--device {device}: --engine ray takes what its cluster has: leave --device out "
            "(cpu is possible without --address)"
        )
    check_thresholds(options.report.thresholds)
    # Processes on other machines have other working folders.
    manifest, out = absolute(manifest), absolute(out)
    options = replace(options, models=tuple(map(_absolute_model, options.models)))
    plan = make_plan(manifest, options.part_size, engine.shard)
    models = [read_model(name) for name in options.models]
    check_one_view(models)
    # Wrong options are refused here, before anything is written.
    localizer(models, replace(options.inference, device="cpu"))
    check_box_rule(box_rule_of(models, options.report), chosen_findings(models, options.inference))
    options = replace(options, inference=with_precision(options.inference))
    claim_results(
        out,
        {
            "command": "archive",
            "versions": versions(),
            "model": describe_models(models),
            "manifest": manifest,
            "images": plan.rows,
            "parts": -(-plan.rows // plan.part_size),
            "settings": {"manifest": content_hash(manifest), **_settings(models, options)},
        },
    )
    done = complete_parts(out)
    left = [part for part in plan.parts() if part.number not in done]
    expect(len(left))
    if left:
        resources = resources_of(options.inference, engine.address)
        steps = archive_steps(manifest, out, options, models)
        yield from ENGINES[engine.name](left, steps, resources)


def _absolute_model(name: str) -> str:
    """The whole path of a model's file; an embedded model keeps its name."""
    path = Path(name)
    return str(path.absolute()) if path.is_file() else name


def _settings(models: Sequence[Model], options: ArchiveOptions) -> dict[str, Any]:
    """All that changes a result; models are named by their content."""
    settings = asdict(options)
    del settings["models"]
    for name in ("device", "batch_size", "workers"):
        del settings["inference"][name]
    names = [{"name": model.card.name, "sha256": model.sha256} for model in models]
    return {"cxrloc": versions()["cxrloc"], "models": names, **settings}
