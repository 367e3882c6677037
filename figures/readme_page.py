"""The picture of the report page in the README, made by the command beside it.

python figures/readme_page.py    (needs Chromium, and playwright of the [test] extra)
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "report_page.png"
WIDTH, COLOURS = 1360, 256


def main() -> None:
    """Score the model on phantoms, and write the picture of the upper part of the report page."""
    with tempfile.TemporaryDirectory() as folder:
        program = "from cxrloc.cli import app; app()"
        command = ["bench", "--html", "--out", folder, "--quiet"]
        subprocess.run([sys.executable, "-c", program, *command], check=True)
        taken = photograph(Path(folder) / "report.html")
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    palette = picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(
        PICTURE, optimize=True
    )


def photograph(page_file: Path) -> bytes:
    """A PNG of the page, from its top to the end of the first row of radiographs."""
    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 2200})
        page.goto(page_file.as_uri())
        page.wait_for_selector("#gallery .card")
        page.wait_for_timeout(2000)  # radiographs are decoded and drawn
        box = page.locator("#gallery li").first.bounding_box()
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": box["y"] + box["height"] + 16}
        taken = page.screenshot(clip=clip)
        browser.close()
    return taken


if __name__ == "__main__":
    main()
