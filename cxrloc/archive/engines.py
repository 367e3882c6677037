"""`ENGINES`: two ways to run the same steps over the parts of a manifest.

The steps are plain functions (`Steps`), and this page has all that differs between the engines:

    part of the manifest -> URIs -> read (many processes) -> network (one per device) -> write

Results stay in the order of the manifest, so that a part is complete when its last image is. Every
queue is bounded: a slow step makes the steps before it wait, and memory does not grow with the
number of images. Both engines run reading and network in child processes (`Isolated`).
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice

from cxrloc.archive.isolation import Isolated, Item
from cxrloc.archive.plan import Part
from cxrloc.archive.ray_tasks import RayBegin, RayNetwork, RayRead, RayWrite, ray_cluster
from cxrloc.archive.steps import Resources, Steps, begun
from cxrloc.archive.tables import PartCounts
from cxrloc.extras import import_extra
from cxrloc.inference.threads import map_in_threads
from cxrloc.workers import Turns

READ_TOGETHER = 16
"""Images that one task of Ray reads; with more images a part would wait long for its last task."""


def run_local(parts: Sequence[Part], steps: Steps, resources: Resources) -> Iterator[PartCounts]:
    """Run the steps in processes of this machine; yields each part when it is written."""
    with ExitStack() as stack:
        readers = [Isolated(steps.read) for _ in range(resources.readers)]
        networks = [Isolated(steps.network, device) for device in resources.devices]
        for process in (*readers, *networks):
            stack.callback(process.close)
        items = chain.from_iterable(begun(part, steps.uris) for part in parts)
        prepared = map_in_threads(Turns(readers), _batches(items, 1), resources.readers)
        batches = _batches(chain.from_iterable(prepared), steps.network.together)
        computed = map_in_threads(Turns(networks), batches, len(networks))
        results = chain.from_iterable(computed)
        # At the end, or after an interruption: no task is begun, and those that run are ended.
        stack.callback(prepared.close)
        stack.callback(computed.close)
        for process in (*networks, *readers):
            stack.callback(process.stop)
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


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch
