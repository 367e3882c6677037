"""`cxrloc send`: sends DICOM objects to a PACS."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cxrloc.cli.options import LogJson, Quiet
from cxrloc.cli.terminal import clear_errors, log


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of .dcm files.")],
    to: Annotated[
        str, typer.Option(help="AE@HOST:PORT for C-STORE, or the URL of a DICOMweb server.")
    ],
    calling: Annotated[str, typer.Option(help="Own AE title.")] = "CXRLOC",
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt C-STORE by TLS.")] = False,
    authority: Annotated[
        Path | None, typer.Option(help="Trusted certificates (PEM); the system's without.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="Own certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate.")] = None,
    tries: Annotated[int, typer.Option(min=1, help="Tries for each object.")] = 4,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Send DICOM objects to a PACS; sending one again is harmless.

    The bearer token of a DICOMweb server is taken from the environment variable CXRLOC_TOKEN.
    """
    with clear_errors(quiet, log_json):
        from cxrloc.pacs.destinations import Security
        from cxrloc.pacs.send import NotSent, SendSettings
        from cxrloc.pipeline.send import send_files

        security = Security(tls, authority, certificate, key)
        settings = SendSettings(calling_title=calling, security=security, tries=tries)
        sent = 0
        failures: Counter[str] = Counter()
        for result in send_files(paths, to, settings):
            if isinstance(result, NotSent):
                if not failures[result.reason]:
                    log.error("%s: %s", result.path, result.reason)
                failures[result.reason] += 1
                continue
            sent += 1
            if result.warning:
                log.warning("%s: %s", result.path, result.warning)
        for reason, number in failures.items():
            if number > 1:
                log.error("%d more not sent for the same reason: %s", number - 1, reason)
        log.info("%d sent to %s, %d not sent.", sent, to, failures.total())
        if failures:
            raise typer.Exit(1)
