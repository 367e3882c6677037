import pytest

from cxrloc.dicom_objects.result import DicomResult
from tests.dicom_objects.results import small_result


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> DicomResult:
    return small_result(tmp_path_factory.mktemp("dicom") / "chests")
