"""`cxrloc send`: sends DICOM files to a PACS."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cxrloc.errors import UsageError
from cxrloc.pacs.destinations import WebServer, check_title, parse_destination
from cxrloc.pacs.send import NotSent, SendSettings, Sent, send


def send_files(paths: Sequence[Path], to: str, settings: SendSettings) -> Iterator[Sent | NotSent]:
    """Send every DICOM file that is named, or that lies in a named folder; yields each outcome.

    Raises:
        UsageError: a path does not exist, there is no file, or the destination is not an address.
    """
    destination = parse_destination(to)
    check_title(settings.calling_title, "--calling")
    if settings.security.tls or isinstance(destination, WebServer):
        settings.security.client_context()  # reports a wrong certificate file at once
    files = [file for path in paths for file in _files_below(path)]
    if not files:
        raise UsageError(f"no DICOM file (.dcm) in {', '.join(map(str, paths))}")
    return send(files, destination, settings)


def _files_below(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    return sorted(path.rglob("*.dcm")) if path.is_dir() else [path]
