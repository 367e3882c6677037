"""How soon the report page answers: from a slider's event to the new numbers, in a real browser.

Moves each slider of the page ten times in a headless Chromium and prints two median times. The
first is the time until the table with all numbers is drawn. The second is the time until the bands
of the curves and the summary for screen readers are updated; the page starts these only after the
slider has been at rest for 300 ms.

    cxrloc phantom chests --n 891  # 200 of them are test images with boxes
    cxrloc bench chests --model phantom-v1 --html --out run
    python benchmarks/speed_report_page.py run/report.html [--browser /usr/bin/chromium]
"""

import argparse
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

MOVES = 10

# A timer that is set in the frame of the change fires only after that frame has been painted.
MOVE = """async ([name, value]) => {
    const changed = (id) => new Promise((done) => {
        const observer = new MutationObserver(() => { observer.disconnect(); done(); });
        observer.observe(document.getElementById(id), { subtree: true, childList: true });
    });
    const [table, rest] = [changed("summary"), changed("announcer")];
    const input = document.querySelector(`#controls input[name=${name}]`);
    const start = performance.now();
    input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await table;
    await new Promise((painted) => setTimeout(painted));
    const numbers = performance.now() - start;
    await rest;
    return [numbers, performance.now() - start];
}"""


def milliseconds(page: Page, name: str, values: list[float]) -> tuple[float, float]:
    """Median times over the moves, until the numbers are drawn and until the page is at rest."""
    timed = [page.evaluate(MOVE, [name, value]) for value in values]
    numbers, rest = zip(*timed, strict=True)
    return statistics.median(numbers), statistics.median(rest)


def main() -> None:
    """Open the page, move the sliders, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    given = parser.parse_args()
    sliders = {
        "threshold-0": [70.0 + 5 * move for move in range(MOVES)],
        "iou": [0.2 + 0.03 * move for move in range(MOVES)],
    }
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=given.browser, args=flags)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.goto(given.page.resolve().as_uri())
        page.wait_for_selector("#gallery .card")
        page.wait_for_selector("#announcer:not(:empty)", state="attached")
        pairs = page.inner_text("#found").split(".")[0]
        print(f"{given.page.stat().st_size / 1e6:.1f} MB, {pairs}\n")
        print("| slider | numbers, ms | bands too, ms |\n|---|---|---|")
        for name, values in sliders.items():
            numbers, rest = milliseconds(page, name, values)
            print(f"| {name} | {numbers:.0f} | {rest:.0f} |")
        browser.close()


if __name__ == "__main__":
    main()
