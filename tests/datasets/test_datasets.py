import json
from pathlib import Path

import pytest

from cxrloc.datasets import read_dataset
from cxrloc.types import CxrlocError

VINDR = """image_id,rad_id,class_name,x_min,y_min,x_max,y_max
0a,R8,Pleural effusion,10.5,20,40,60
0a,R9,Pleural effusion,11,20,40,61
0b,R8,No finding,,,,
"""


def written(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_of_several_annotation_files_one_must_be_named(tmp_path: Path) -> None:
    written(tmp_path / "annotations_train.csv", VINDR)
    written(tmp_path / "annotations_test.csv", VINDR)
    with pytest.raises(CxrlocError, match="name the one to read"):
        read_dataset(tmp_path)
