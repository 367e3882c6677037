"""What `cxrloc export` refuses before it reads a model."""

from pathlib import Path

import pytest

from cxrloc.errors import UsageError
from cxrloc.exported.formats import ExportOptions
from cxrloc.pipeline.export import export


@pytest.mark.parametrize(("to", "name"), [("onnx", "model.pt2"), ("pt2", "model.onnx")])
def test_a_file_name_of_the_other_format_is_refused(to: str, name: str, tmp_path: Path) -> None:
    out = tmp_path / name
    with pytest.raises(UsageError, match=rf"{name}: a file of --to {to} ends in \.{to}"):
        export("phantom-v1", ExportOptions(to, out))
    assert not out.exists()
