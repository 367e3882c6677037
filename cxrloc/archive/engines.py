"""`ENGINES`: two ways to run the same steps over the parts of a manifest.

The steps are plain functions (`Steps`), and this page has all that differs between the engines:

    part of the manifest -> URIs -> read (many processes) -> network (one per device) -> write

Results stay in the order of the manifest, so that a part is complete when its last image is. Every
queue is bounded: a slow step makes the steps before it wait, and memory does not grow with the
number of images. Both engines run reading and network in child processes (`Isolated`).
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from queue import SimpleQueue

from cxrloc.archive.isolation import Isolated, Item, Step
from cxrloc.archive.plan import Part
from cxrloc.archive.ray_tasks import RayBegin, RayNetwork, RayRead, RayWrite, ray_cluster
from cxrloc.archive.steps import Resources, Steps, begun
from cxrloc.archive.tables import PartCounts
from cxrloc.extras import import_extra
from cxrloc.inference.threads import map_in_threads

READ_TOGETHER = 16
"""Images that one task of Ray reads; more would make a part's end wait for its last task."""


def run_local(parts: Sequence[Part], steps: Steps, resources: Resources) -> Iterator[PartCounts]:
    """Run the steps in processes of this machine; yields each part when it is written."""
    with ExitStack() as stack:
        read = stack.enter_context(closing(_Pool(steps.read, [""] * resources.readers)))
        network = stack.enter_context(closing(_Pool(steps.network, resources.devices)))
        items = chain.from_iterable(begun(part, steps.uris) for part in parts)
        prepared = map_in_threads(read, _batches(items, 1), resources.readers)
        batches = _batches(chain.from_iterable(prepared), steps.network.together)
        computed = map_in_threads(network, batches, len(resources.devices))
        results = chain.from_iterable(computed)
        # At the end, or after an interruption: no task is begun, and those that run are ended.
        for each in (prepared.close, computed.close, network.stop, read.stop):
            stack.callback(each)
        for part in parts:
            yield steps.write(part, list(islice(results, part.rows)))


def run_ray(parts: Sequence[Part], steps: Steps, resources: Resources) -> Iterator[PartCounts]:
    """Run the steps as a pipeline of Ray Data; yields each part when it is written.

    Ray Data schedules tasks where their data are, bounds what is on its way, and repeats what a
    lost process or machine had. `repartition` with `strict` makes blocks of exactly one part each,
    because only the last part may be smaller than the others.
    """
    data = import_extra("ray.data", "archive")
    with ray_cluster(resources) as shares:
        written = (
            data.from_items([{"part": [*part]} for part in parts], override_num_blocks=len(parts))
            .map_batches(RayBegin(steps.uris), batch_size=1, **shares.short)
            .repartition(target_num_rows_per_block=READ_TOGETHER)
            .map_batches(RayRead(pickle.dumps(steps.read)), batch_size=None, **shares.read)
            .map_batches(
                RayNetwork,
                fn_constructor_args=[steps.network, shares.device],
                batch_size=steps.network.together,
                compute=data.ActorPoolStrategy(size=shares.networks),
                **shares.network,
            )
            .repartition(target_num_rows_per_block=parts[0].rows, strict=True)
            .map_batches(RayWrite(steps.write), batch_size=parts[0].rows, **shares.short)
        )
        for row in written.iter_rows():
            yield PartCounts(**row)


ENGINES: dict[str, Callable[[Sequence[Part], Steps, Resources], Iterator[PartCounts]]] = {
    "local": run_local,
    "ray": run_ray,
}
"""Name of `--engine` to the function that runs it."""


class _Pool:
    """A step on several devices, each in its own process; a thread takes a free one."""

    def __init__(self, step: Step, devices: Sequence[str]) -> None:
        self._all = [Isolated(step, device) for device in devices]
        self._free: SimpleQueue[Isolated] = SimpleQueue()
        for each in self._all:
            self._free.put(each)

    def __call__(self, items: list[Item]) -> list[Item]:
        step = self._free.get()
        try:
            return step(items)
        finally:
            self._free.put(step)

    def stop(self) -> None:
        for step in self._all:
            step.stop()

    def close(self) -> None:
        for step in self._all:
            step.close()


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch
