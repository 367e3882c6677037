"""`cxrloc node`: runs a node that receives images from a PACS and sends results back."""

import logging
import signal
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from cxrloc.devices import share_threads
from cxrloc.errors import CxrlocError, UsageError
from cxrloc.image_results.report import ReportSettings, report_image
from cxrloc.image_results.writers import (
    DICOM_WRITERS,
    check_sources,
    chosen_writers,
    write_results,
)
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localize import localize
from cxrloc.inference.paired_images import Pairing, paired_files
from cxrloc.inference.prepared import Failure, Image, InferenceSettings
from cxrloc.models.model import Model
from cxrloc.models.weights import read_model
from cxrloc.pacs.node import Node, Task
from cxrloc.pacs.node_config import Compute, read_node_config
from cxrloc.pacs.spool import INCOMING, Spool, State, oldest_age_seconds, read_note
from cxrloc.text import one_line

LAST_ERRORS = 5
"""Number of reasons that `status` shows."""


def run_node(path: Path, default_model: str, ready: Callable[[Node], None]) -> None:
    """Run the node of a settings file until SIGINT or SIGTERM.

    Args:
        path: the settings.
        default_model: the model to use if the settings name none.
        ready: is called once the node listens.

    Raises:
        UsageError: a setting is wrong, or the port is in use.
        CxrlocError: a model cannot be read.
    """
    config = read_node_config(path)
    check_kinds(config.compute)
    _silence_libraries()
    # Objects are received into a folder beside the queue, so that a restart removes partial ones.
    spool = Spool(config.spool.folder)
    tempfile.tempdir = str(spool.folder / INCOMING)
    compute = config.compute
    names = compute.model or (default_model,)
    for name in names:
        read_model(name)  # a wrong name is reported now, and not when the first image comes
    node = Node(config, partial(prepare_worker, compute, names))

    def stop(number: int, frame: FrameType | None) -> None:
        node.stop()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    ready(node)
    node.run()


def prepare_worker(
    settings: Compute, names: tuple[str, ...]
) -> Callable[[Task], Mapping[str, object]]:
    """The function that computes one image's results, with models that this worker loads."""
    _silence_libraries()
    share_threads(settings.workers)
    models = [read_model(name) for name in names]
    return partial(answer, models=models, settings=settings)


def _silence_libraries() -> None:
    """Keep warnings of libraries off the log: they are not JSON, and they may quote a header."""
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())


def answer(task: Task, models: list[Model], settings: Compute) -> dict[str, object]:
    """Write the DICOM objects of one image to its folder of results; returns a summary for the log.

    An image outside what the models were made for gets no object that claims a finding. Only the
    picture is written, if the settings ask for pictures, and says that the image is outside.

    Raises:
        CxrlocError: the image cannot be read, or is no radiograph.
    """
    # The image itself is the first of its study; a network of two views pairs it with another.
    images = [Image(str(path), partial(read_radiograph, path)) for path in task.study]
    image = paired_files(images, task.study, models, Pairing())[0]
    inference = InferenceSettings(batch_size=1, workers=1)
    (result,) = localize(models, [image], inference)
    if isinstance(result, Failure):
        raise CxrlocError(result.reason)
    report_settings = ReportSettings(
        top=settings.top, below_operating_point=settings.below_operating_point
    )
    reported = report_image(result, models, inference, report_settings)
    kinds = chosen_writers(settings.write)
    report = write_results(reported, task.image, task.results / "result", kinds)
    return {
        "status": report["status"],
        "objects": len(list(task.results.iterdir())),
        "warnings": len(report["warnings"]),
    }


class NodeStatus(NamedTuple):
    """The state of a node's queue.

    Attributes:
        counts: number of jobs in each state.
        oldest_waiting_seconds: how long the oldest job that is not done yet has waited.
        waits_because: why results are not sent yet, by destination, as the last try found.
        last_errors: reasons why the newest failed jobs failed, by the jobs' names.
    """

    counts: dict[str, int]
    oldest_waiting_seconds: float
    waits_because: dict[str, str]
    last_errors: dict[str, str]


def node_status(path: Path) -> NodeStatus:
    """The state of the node of a settings file, running or not."""
    folder = read_node_config(path).spool.folder
    if not folder.is_dir():  # the user who runs the node must create it
        raise UsageError(f"{folder}: no queue yet; the node has not run")
    spool = Spool(folder)
    sending = spool.jobs(State.SENDING)
    waiting = [*spool.jobs(State.RECEIVED), *sending]
    waits = {to: why for job in sending for to, why in read_note(job).waits_because.items()}
    failed = spool.jobs(State.FAILED)[-LAST_ERRORS:]
    return NodeStatus(
        counts={str(state): spool.count(state) for state in State},
        oldest_waiting_seconds=oldest_age_seconds(waiting),
        waits_because={to: one_line(why) for to, why in waits.items()},
        last_errors={job.name: one_line(read_note(job).reason) for job in failed},
    )


def check_kinds(compute: Compute) -> None:
    """Refuse kinds of objects that do not exist before any image is received.

    Raises:
        UsageError: no kind is given, or a kind is not a DICOM object.
        CxrlocError: a kind needs a package that is not installed.
    """
    kinds = chosen_writers(compute.write)
    if not kinds or any(kind not in DICOM_WRITERS for kind in kinds):
        raise UsageError(
            f"[compute] write: {list(compute.write)} must name DICOM objects: sr, gsps, sc, seg, "
            "fractional-seg"
        )
    check_sources((), kinds)
