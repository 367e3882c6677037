"""A real browser for tests of pages: Chromium, without a window."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def open_browser() -> Iterator[Any]:
    """The browser of this machine; without one the tests are skipped, but fail where one must be.

    Continuous integration installs Chromium and sets CXRLOC_BROWSER=required.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        why = "needs a browser: install Debian's package chromium"
        if os.environ.get("CXRLOC_BROWSER") == "required":
            pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container has neither user namespaces nor much shared memory.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()
