"""The warning of `cxrloc export` about a file that is not what the model is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cxrloc.cli import app
from cxrloc.pipeline import export as flow


@pytest.mark.parametrize(("change", "warned"), [(0.04, False), (0.06, True)])
def test_probabilities_far_from_those_of_the_model_are_a_warning(
    change: float, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes, differences = {"probabilities": (1, 8)}, {"probabilities": change}
    written = flow.Exported(Path("a.onnx"), 10, shapes, "8 radiographs", differences)
    monkeypatch.setattr(flow, "export", lambda model, options: written)
    result = CliRunner().invoke(app, ["export", "phantom-v1", "--to", "onnx", "--int8"])
    assert result.exit_code == 0
    assert ("differ by up to 0.06" in result.stderr) == warned
