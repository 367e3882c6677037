"""`cxrloc node`: runs a node beside a PACS, or shows the state of its queue."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxrloc.cli.missing_inputs import input_or_status, refuse_missing
from cxrloc.cli.terminal import clear_errors, log, say

if TYPE_CHECKING:
    from cxrloc.pacs.node import Node


def node(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG | status CONFIG",
            callback=input_or_status,
            help="Settings (TOML) of the node to run; 'status' shows its queue instead.",
        ),
    ],
) -> None:
    """Receive images from a PACS, and send the results back.

    Logs are JSON lines on stderr, without names, identifiers and UIDs. The README has a file of
    settings.
    """
    status = words[0] == "status"
    with clear_errors(log_json=not status, go_on="Start it again to go on."):
        refuse_missing([Path(words[-1])])
        from cxrloc.extras import import_extra

        import_extra("pynetdicom", "pacs")
        from cxrloc.models.names import DEFAULT_MODEL
        from cxrloc.pipeline import node as flow

        if not status:
            flow.run_node(Path(words[0]), DEFAULT_MODEL, _say_ready)
            return
        counted = flow.node_status(Path(words[1]))
        for state, count in counted.counts.items():
            say(f"{state:<10}{count:>8}")
        say(f"oldest waiting: {counted.oldest_waiting_seconds:.0f} s")
        for to, reason in counted.waits_because.items():
            say(f"not sent yet to {to}: {reason}")
        for job, reason in counted.last_errors.items():
            say(f"failed {job}: {reason}")


def _say_ready(node: "Node") -> None:
    port = node.receiver.port if node.receiver is not None else None
    log.info("ready", extra={"fields": {"port": port}})
