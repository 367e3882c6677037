"""A missing optional package is named with the extra that brings it."""

import pytest

from cxrloc.errors import CxrlocError
from cxrloc.extras import import_extra


def test_an_installed_package_is_imported() -> None:
    assert import_extra("json.decoder", "pacs").__name__ == "json.decoder"


def test_a_missing_package_is_one_line_with_its_extra() -> None:
    with pytest.raises(CxrlocError, match=r"needs the package no_such_package: .*cxrloc\[pacs\]"):
        import_extra("no_such_package.part", "pacs")
