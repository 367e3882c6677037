"""The files from which hostile files are made are valid: each can be read."""

from pathlib import Path

import pytest

from tests.hostile.mutations import outcome
from tests.hostile.seeds import SEEDS


@pytest.mark.parametrize("kind", SEEDS)
def test_every_seed_is_read(tmp_path: Path, kind: str) -> None:
    make, name = SEEDS[kind]
    contents = make(tmp_path)
    folder = tmp_path / "whole"
    folder.mkdir()
    for content in contents:
        (folder / name).write_bytes(content)
        assert outcome(kind, folder / name) == ("read", "")
