"""What `cxrloc send` says of files that were not sent."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.pacs.send import NotSent, Sent
from cxrloc.pipeline import send as flow


def test_one_reason_of_many_files_is_said_once_with_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [Path(f"{letter}.dcm") for letter in "abc"]
    results = [NotSent(path, "nobody answers", refused=False) for path in names]
    results += [Sent(Path("d.dcm")), NotSent(Path("e.dcm"), "is refused", refused=True)]
    monkeypatch.setattr(flow, "send_files", lambda *_: iter(results))
    result = CliRunner().invoke(app, ["send", "results", "--to", "PACS@host:104"])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "a.dcm: nobody answers",
        "e.dcm: is refused",
        "2 more not sent for the same reason: nobody answers",
        "1 sent to PACS@host:104, 4 not sent.",
    ]
