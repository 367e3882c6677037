"""The page that runs a model in the browser gives what Python gives on the same grey levels."""

import os
import re
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate

from cxrloc.errors import CxrlocError, UsageError
from cxrloc.exported.graph import grey_levels_only
from cxrloc.exported.metadata import GraphFacts
from cxrloc.images.dicom_luts import lookup_table
from cxrloc.images.intensity import look_up
from cxrloc.images.preprocessing import Preprocessing, preprocess
from cxrloc.images.read import read_radiograph
from cxrloc.inference.localize import localize, localize_radiograph
from cxrloc.inference.localized import Localized
from cxrloc.inference.prepared import Image, InferenceSettings
from cxrloc.localization.boxes import detections_from_heatmaps
from cxrloc.models.card import ModelCard
from cxrloc.models.weights import read_model
from cxrloc.phantom import make_phantom, write_phantoms
from cxrloc.report_page.demo import THRESHOLDS, check_input
from cxrloc.report_page.npm_packages import PACKAGES, read_runtime
from cxrloc.report_page.page import bundle
from cxrloc.types import Radiograph
from tests.images.test_dicom_pixels import transcoded
from tests.panels.browser import open_browser

CASES = {
    "larger than published": ((300, 240), Preprocessing(size=64, source_size=128)),
    "square and small": ((100, 100), Preprocessing(size=64, source_size=128)),
    "enlarged": ((40, 50), Preprocessing(size=64, source_size=None, bit_depth=None)),
    "letterbox": ((90, 130), Preprocessing(size=64, fit="letterbox", source_size=None)),
    "crop": ((90, 130), Preprocessing(size=64, fit="crop", source_size=None)),
    "centre of a larger square": ((90, 130), Preprocessing(size=56, crop_from=64)),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from open_browser()


def test_the_page_prepares_an_image_as_python_does(browser: Any) -> None:
    page = browser.new_page()
    page.add_script_tag(content=bundle("demo_input"))
    generator = np.random.default_rng(3)
    for name, (shape, preprocessing) in CASES.items():
        pixels = generator.uniform(0, 1, shape).astype(np.float32)
        grey, affine = preprocess(Radiograph(pixels, 8), grey_levels_only(preprocessing))
        settings = {
            key: getattr(preprocessing, key)
            for key in ("size", "fit", "crop_from", "source_size", "bit_depth")
        }
        found = page.evaluate(
            """([pixels, rows, columns, settings]) => {
                const image = { pixels: Float32Array.from(pixels), rows, columns };
                const { grey, scale, shift } = demo_input.networkInput(image, settings);
                return { grey: [...grey], scale, shift };
            }""",
            [pixels.ravel().tolist(), *shape, settings],
        )
        # Sums of the weights are rounded in another order, so a rare grey level differs by a bit.
        apart = np.abs(np.array(found["grey"]).reshape(grey[0].shape) - grey[0])
        assert (apart > 0).mean() < 0.01, name
        assert apart.max() < 1 / 255, name
        place = (affine.xx, affine.yy, affine.x0, affine.y0)
        assert (*found["scale"], *found["shift"]) == pytest.approx(place), name
    page.close()


GAMMA = np.round(np.linspace(0, 1, 256) ** 2 * 4000 + 7).astype("<u2").tobytes()
ITEM_OF_PAGE = """({ descriptor, bytes, inputs, values }) => {
    const item = {
        elements: { x00283002: { length: 6 }, x00283006: { dataOffset: 0, length: bytes.length } },
        byteArray: Uint8Array.from(bytes),
        uint16: (tag, i) =>
            tag === "x00283002" ? descriptor[i] : bytes[2 * i] + 256 * bytes[2 * i + 1],
    };
    const sequence = { elements: { x00283010: { items: [{ dataSet: item }] } } };
    return values.map(demo_luts.lookupTable(sequence, "x00283010", inputs).at);
}"""


@pytest.mark.parametrize(
    ("descriptor", "data", "inputs"),
    [
        ([256, 0, 16], GAMMA, (0.0, 300.0)),
        ([256, 20, 16], GAMMA, (0.0, 300.0)),
        ([256, 65_436, 16], GAMMA, (-100.0, 200.0)),  # unsigned, for -100
        ([256, 65_436, 16], GAMMA, (65_400.0, 65_535.0)),
        ([256, 0, 8], GAMMA[::2], (0.0, 300.0)),  # a byte for each entry
        ([256, 0, 16], GAMMA[::2], (0.0, 300.0)),
    ],
)
def test_the_page_has_the_lookup_tables_of_python(
    browser: Any, descriptor: list[int], data: bytes, inputs: tuple[float, float]
) -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "OW", data)
    item.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    table = lookup_table(Path("a.dcm"), item, "VOI LUT", inputs)
    values = np.linspace(inputs[0] - 1, inputs[1] + 1, 81)  # many of them between whole numbers
    page = browser.new_page()
    page.add_script_tag(content=bundle("demo_luts"))
    given = {"descriptor": descriptor, "bytes": [*data], "inputs": inputs}
    found = page.evaluate(ITEM_OF_PAGE, {**given, "values": values.tolist()})
    page.close()
    assert found == look_up(values, table.first, table.entries).tolist()


def test_a_page_is_refused_for_an_input_that_it_cannot_make() -> None:
    card = ModelCard("mine", "nothing", ("Mass",))
    facts = GraphFacts(card, Preprocessing(size=64, interpolation="nearest"), 0.0, "")
    with pytest.raises(CxrlocError, match="mine: its preprocessing has interpolation 'nearest'"):
        check_input(facts)


def test_missing_packages_are_named_with_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"npm install --prefix .* onnxruntime-web dicom-parser"):
        read_runtime(tmp_path)


@pytest.fixture(scope="module")
def packages() -> Path:
    """A folder with the npm packages."""
    folder = os.environ.get("CXRLOC_NPM")
    if not folder:
        pytest.skip(f"needs CXRLOC_NPM, a folder after `npm install {' '.join(PACKAGES)}`")
    return Path(folder)


SETTINGS = InferenceSettings(workers=1)

COMPRESSED = (
    uid.RLELossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)


def other_files(folder: Path, dicom: Path) -> dict[Path, tuple[str, ...]]:
    """Files of kinds that browsers do not read alone, and images outside; what the page says."""
    pixels = make_phantom(3, 0, 400).pixels
    names = ("deep.png", "noise.png", "jpeg.dcm", "odd.dcm", "lateral.dcm", "tables.dcm")
    deep, noise, jpeg, odd, lateral, tables = (folder / name for name in names)
    PIL.Image.fromarray((pixels * 65535).astype(np.uint16)).save(deep)
    PIL.Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (300, 300)).astype(np.uint8)
    ).save(noise)
    header = dcmread(dicom)
    top = 2**header.BitsStored - 1
    for keyword, power in (("ModalityLUTSequence", 0.7), ("VOILUTSequence", 1.8)):
        item = Dataset()
        entries = np.round(np.linspace(0, 1, top + 1) ** power * top).astype("<u2")
        item.add_new("LUTDescriptor", "US", [top + 1, 0, 16])
        item.add_new("LUTData", "OW", entries.tobytes())
        header.add_new(keyword, "SQ", [item])
    header.save_as(tables)
    del header.ModalityLUTSequence, header.VOILUTSequence
    header.VOILUTFunction = "CUBIC"
    header.save_as(odd)
    del header.VOILUTFunction
    header.ViewPosition = "LL"
    header.save_as(lateral)
    stream = BytesIO()
    grey = (pixels[:300, :300] * 255).astype(np.uint8)
    PIL.Image.fromarray(grey).save(stream, "JPEG", quality=95)
    header.ViewPosition = "PA"
    header.Rows, header.Columns = grey.shape
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.WindowCenter, header.WindowWidth = 128, 256
    header.PixelData = encapsulate([stream.getvalue()])
    header["PixelData"].VR = "OB"
    header.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    header.save_as(jpeg)
    about = ("VOILUTFunction (0028,1056) is none of LINEAR, LINEAR_EXACT, SIGMOID",)
    said = {deep: (), noise: (), odd: about, lateral: (), jpeg: (), tables: ()}
    for syntax in COMPRESSED:
        path = transcoded(dicom, syntax).rename(folder / f"{syntax.keyword}.dcm")
        said[path] = ()
    return said


@pytest.mark.slow
def test_the_page_gives_the_boxes_of_python_and_connects_to_nothing(
    browser: Any, packages: Path, tmp_path: Path
) -> None:
    from cxrloc.pipeline.page import page as write_page

    written = write_page("phantom-v1", read_runtime(packages), tmp_path / "demo.html")
    assert written.bytes < 25_000_000
    text = written.path.read_text()
    assert not re.search(r"(src|href)=.?https?:", text)
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    write_phantoms(tmp_path / "chests", n=1, seed=7, file_format="dicom", size=300)
    (dicom,) = (tmp_path / "chests/images").iterdir()
    grey = (make_phantom(3, 0, 500).pixels[:, :420] * 255).astype(np.uint8)
    png = tmp_path / "a.png"
    PIL.Image.fromarray(grey).save(png)
    requests: list[str] = []
    opened = browser.new_page()
    opened.set_default_timeout(120_000)
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(written.path.as_uri())
    opened.wait_for_selector("#state[data-state=done]")
    model = read_model("phantom-v1")
    for path in (png, dicom):
        opened.set_input_files("#file", path)
        opened.wait_for_selector("#state[data-state=done]")
        rows = opened.eval_on_selector_all(
            ".demo-result:first-child tbody tr",
            "rows => rows.map((row) => [row.dataset.finding, Number(row.dataset.raw), "
            "JSON.parse(row.dataset.boxes)])",
        )
        wanted = localize_radiograph(model, read_radiograph(path))
        every = detections_from_heatmaps(wanted.heatmaps, wanted.probabilities, THRESHOLDS)
        for finding, raw, boxes in rows:
            own = [each for each in every if each.finding == finding]
            probability = wanted.probabilities[wanted.heatmaps.findings.index(finding)]
            assert raw == pytest.approx(probability, abs=1e-4)
            corners = [[e.box.x_min, e.box.y_min, e.box.x_max, e.box.y_max] for e in own]
            assert len(boxes) == len(corners)
            found = np.array([each["box"] for each in boxes]).reshape(-1, 4)
            np.testing.assert_allclose(found, np.array(corners).reshape(-1, 4), atol=1)
            assert [each["threshold"] for each in boxes] == [each.threshold for each in own]
    for path, said in other_files(tmp_path, dicom).items():
        opened.set_input_files("#file", path)
        opened.wait_for_selector(f"#state[data-state=done]:has-text('{path.name}')")
        (found,) = localize([model], [Image("", partial(read_radiograph, path))], SETTINGS)
        assert isinstance(found, Localized)
        first = opened.locator(".demo-result").first
        assert first.get_attribute("data-status") == found.suitability.status.value, path.name
        raw = first.locator("tbody tr").evaluate_all("rows => rows.map((r) => r.dataset.raw)")
        names = first.locator("tbody tr").evaluate_all("rows => rows.map((r) => r.dataset.finding)")
        wanted = [found.probabilities[found.heatmaps.findings.index(name)] for name in names]
        np.testing.assert_allclose(np.array(raw, dtype=float), wanted, atol=1e-4)
        for reason in (*found.suitability.reasons, *said):
            assert reason in (first.text_content() or ""), path.name
    broken = tmp_path / "b.dcm"
    broken.write_bytes(dicom.read_bytes()[:2000])
    opened.set_input_files("#file", broken)
    opened.wait_for_selector("#state[data-state=failed]")
    assert opened.text_content("#state").startswith("b.dcm: ")
    opened.close()
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
