"""The steps that an engine runs, and the resources that it may use."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cxrloc.archive.isolation import Item, Step
from cxrloc.archive.plan import Part
from cxrloc.archive.tables import PartCounts


class Steps(NamedTuple):
    """What an engine does with each part. All functions are picklable.

    Attributes:
        uris: lists the URIs of a part's images.
        read: from a URI to the network's input.
        network: from the input to the rows of the tables.
        write: writes the tables of a part.
    """

    uris: Callable[[Part], list[str]]
    read: Step
    network: Step
    write: Callable[[Part, Sequence[Item]], PartCounts]


class Resources(NamedTuple):
    """What an engine may use.

    Attributes:
        readers: number of processes of this machine that read and decode. Ray takes as many as the
            cluster has room for.
        devices: of this machine, a network on each, such as ("cuda:0", "cuda:1"); ("cpu", "cpu") is
            two networks that take one processor core each. Ray looks for the cluster's own.
        address: address of a running Ray cluster; empty: a cluster is started on this machine.
    """

    readers: int
    devices: tuple[str, ...]
    address: str = ""


def begun(part: Part, uris: Callable[[Part], list[str]]) -> list[Item]:
    """The images of a part before the first step."""
    now = time.time()
    return [Item(part.first_row + n, uri, now) for n, uri in enumerate(uris(part))]
