"""The picture of OHIF in the README: a web viewer that shows the boxes of a structured report.

python figures/ohif_boxes.py    (needs npm, Chromium, Orthanc with its DICOMweb plugin, playwright)

npm fetches OHIF once into a cache folder. Orthanc and the viewer then run in a network namespace of
their own, which has the loopback device alone.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pydicom
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from cxrloc.datasets.dicom_regions import read_regions  # noqa: E402
from cxrloc.models.names import PHANTOM_MODEL  # noqa: E402
from cxrloc.pacs.send import NotSent, SendSettings, send  # noqa: E402
from cxrloc.phantom import write_phantoms  # noqa: E402
from tests.pacs.orthanc_session import HTTP, PACS, orthanc  # noqa: E402

PICTURE = Path(__file__).with_suffix(".png")
OHIF = "@ohif/app@3.12.10"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cxrloc-figures" / "ohif"
PORT, WIDTH, HEIGHT = 3000, 1160, 700
SEED, SIZE, PHANTOMS = 31, 512, 12
"""A series of phantoms that was used neither to train nor to select the model."""

CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "Orthanc",
                "name": "orthanc",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/wado",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            },
        }
    ],
}


class Viewer(SimpleHTTPRequestHandler):
    """The files of OHIF, and Orthanc's DICOMweb under the same origin."""

    def do_GET(self) -> None:
        """Answer with a file of OHIF, its settings, or what Orthanc answers."""
        if self.path.startswith("/dicom-web"):
            self._pass_on()
        elif self.path == "/app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(CONFIG)}".encode())
        else:
            if not Path(self.translate_path(self.path)).is_file():
                self.path = "/index.html"  # a page of the application
            super().do_GET()

    def _pass_on(self) -> None:
        request = Request(f"http://127.0.0.1:{HTTP}{self.path}")
        request.add_header("Accept", self.headers.get("Accept", "*/*"))
        request.add_header("Host", self.headers["Host"])
        try:
            with urlopen(request, timeout=30) as answer:
                self._answer(answer.status, answer.headers["Content-Type"], answer.read())
        except HTTPError as error:
            self._answer(error.code, "text/plain", error.read())

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is printed."""


@contextmanager
def viewer(folder: Path) -> Iterator[str]:
    """OHIF on the loopback device."""
    server = ThreadingHTTPServer(("127.0.0.1", PORT), partial(Viewer, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{PORT}"
    finally:
        server.shutdown()
        server.server_close()


def ohif() -> Path:
    """The folder of OHIF's files; npm fetches them if they are not there yet."""
    dist = CACHE / "package" / "dist"
    if not dist.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", OHIF], cwd=CACHE, check=True, capture_output=True)
        with tarfile.open(next(CACHE.glob("*.tgz"))) as archive:
            archive.extractall(CACHE, filter="data")
    return dist


def study(folder: Path) -> list[Path]:
    """The first phantom whose report has boxes of two findings, and its report of regions."""
    write_phantoms(folder / "chests", n=PHANTOMS, seed=SEED, size=SIZE, file_format="dicom")
    images = folder / "chests" / "images"
    program = "from cxrloc.cli import app; app()"
    command = [sys.executable, "-c", program, "heatmap", images, "--model", PHANTOM_MODEL]
    command += ["--write", "sr", "--threshold", "180", "--out", folder / "out", "--quiet"]
    subprocess.run([*map(str, command)], check=True, cwd=ROOT)
    for report in sorted((folder / "out").rglob("*.sr-regions.dcm")):
        if len({region.finding for region in read_regions(report)}) >= 2:
            name = report.name.removesuffix(".sr-regions.dcm")
            return [next(images.glob(f"{name}.*")), report]
    raise SystemExit("no phantom has boxes of two findings")


def photograph(address: str, files: list[Path]) -> bytes:
    """OHIF with the report of regions on the image."""
    uid = pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--use-gl=angle",
                "--use-angle=swiftshader",
                "--ignore-gpu-blocklist",
            ],
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{address}/viewer?StudyInstanceUIDs={uid}")
        _show_report(page)
        taken = page.screenshot()
        browser.close()
    return taken


def _show_report(page: Page) -> None:
    """Open the report as a reader does, take over its boxes, and list them on the right."""
    page.wait_for_selector("canvas", timeout=120_000)
    page.get_by_text("Skip all").click(timeout=60_000)  # the tour for newcomers
    page.get_by_text("cxrloc: regions").first.dblclick()
    page.get_by_role("button", name="Yes").click()
    page.mouse.click(WIDTH - 18, 134)
    page.get_by_text("Measurements (").wait_for()
    page.wait_for_timeout(5000)  # the image is drawn again


def main() -> None:
    """Make the picture, in a network namespace of its own."""
    dist = ohif()
    if os.environ.get("CXRLOC_OWN_NETWORK") != "yes":
        command = subprocess.list2cmdline([sys.executable, *sys.argv])
        inside = f"ip link set lo up && CXRLOC_OWN_NETWORK=yes exec {command}"
        raise SystemExit(subprocess.run(["unshare", "-n", "sh", "-c", inside]).returncode)
    with tempfile.TemporaryDirectory() as name, orthanc(Path(name)), viewer(dist) as address:
        files = study(Path(name))
        refused = [each for each in send(files, PACS, SendSettings()) if isinstance(each, NotSent)]
        assert not refused, refused
        taken = photograph(address, files)
    Image.open(io.BytesIO(taken)).convert("RGB").save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
