"""The box rule: drawn maps that can be checked by hand, properties, and two dense oracles."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.io import imread
from torchvision.models import mobilenet_v2

from cxrloc.errors import CxrlocError
from cxrloc.localization.dense_regions import find_regions_dense
from cxrloc.localization.regions import find_regions, is_degenerate, scale_maps

LEVELS = {".": 0.0, "o": 120.0, "#": 255.0}
THRESHOLDS = (60.0, 180.0)
KINDS = ("white noise", "smooth", "plateaus", "ties", "ridges")


def drawn(picture: str) -> np.ndarray:
    """`.` is 0, `o` is 120, `#` is 255; rows are parted by spaces."""
    return np.array([[LEVELS[mark] for mark in row] for row in picture.split()])


def boxes(picture: str, threshold: float) -> list[list[float]]:
    return find_regions(drawn(picture)[None], [threshold]).boxes.tolist()


@pytest.mark.parametrize(
    ("picture", "threshold", "expected"),
    [
        # From o (120, centre 2.5) to . (0, centre 1.5) the surface passes 60 half-way.
        pytest.param("..o#o.", 60, [[2, 0, 5, 1]], id="crossing half-way"),
        # From # (255) to o (120) it passes 180 after 75/135 of the way.
        pytest.param("..o#o.", 180, [[3.5 - 5 / 9, 0, 3.5 + 5 / 9, 1]], id="crossing at 5/9"),
        pytest.param("#..", 127.5, [[0, 0, 1, 1]], id="an outermost centre reaches the border"),
        pytest.param("#.#", 127.5, [[0, 0, 1, 1], [2, 0, 3, 1]], id="two regions"),
        pytest.param("### #.# ###", 60, [[0, 0, 3, 3]], id="a ring is one region"),
        pytest.param("#.# #.# ###", 60, [[0, 0, 3, 3]], id="a U is one region"),
        pytest.param("..... ..#.. .....", 127.5, [[2, 1, 3, 2]], id="one cell, all sides"),
        pytest.param(".... .##. ....", 0, [[0.5, 0.5, 3.5, 2.5]], id="down to the next centres"),
        pytest.param("..... .#o.. .....", 60, [[0.5 + 60 / 255, 0.5 + 60 / 255, 3, 2.5 - 60 / 255]],
                     id="each side by its own neighbours"),
    ],
)  # fmt: skip
def test_box_of_drawn_map(picture, threshold, expected):
    np.testing.assert_allclose(boxes(picture, threshold), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("threshold", "tops"), [(127.4, [0, 3, 3]), (127.5, [0, 0, 0, 0, 1, 1, 1, 3, 3])]
)
def test_chain_of_diagonal_cells_is_one_region_and_later_regions_follow_it(threshold, tops):
    found = boxes("#.#.#.# .#.#.#. ....... ...#..# .......", threshold)
    assert [round(box[1]) for box in found] == tops


@pytest.mark.parametrize(
    ("threshold", "count"),
    [(127.4, 1), (127.5, 2), (127.6, 2)],
    ids=["below the saddle", "at the saddle they touch in a point only", "above the saddle"],
)
def test_diagonal_cells_belong_together_where_the_saddle_is_above(threshold, count):
    # The saddle of 255, 0, 0, 255 is (255 x 255 - 0 x 0) / (255 + 255 - 0 - 0) = 127.5.
    assert len(boxes("#. .#", threshold)) == count
    assert len(boxes(".# #.", threshold)) == count


@pytest.mark.parametrize(("value", "count"), [(59.9, 1), (60.0, 1), (60.1, 2)])
def test_above_is_strict(value, count):
    assert find_regions(np.array([[[value, 0.0, 255.0]]]), [60]).boxes.shape == (count, 4)


def test_maps_are_scaled_by_their_own_cells():
    one = drawn("..o#o.")
    regions = find_regions(np.stack([one, 2 * one - 100, one / 1024]), [60])
    assert regions.boxes.tolist() == [[2, 0, 5, 1]] * 3
    assert regions.peak.tolist() == [1, 1, 1]


def test_rows_come_by_map_then_threshold_as_given_then_raster():
    regions = find_regions(np.stack([drawn("o..#"), drawn("#..o")]), [180, 60])
    assert regions.map_index.tolist() == [0, 0, 0, 1, 1, 1]
    assert regions.threshold.tolist() == [180, 60, 60, 180, 60, 60]
    assert regions.peak.tolist() == [1, 120 / 255, 1, 1, 1, 120 / 255]


def test_regions_of_neighbouring_maps_never_join():
    regions = find_regions(np.stack([drawn(".. ##"), drawn("## ..")]), THRESHOLDS)
    assert regions.map_index.tolist() == [0, 0, 1, 1]
    assert regions.boxes[:, 3].max() == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 7.0])
def test_degenerate_map_gives_no_rows(bad):
    flat_or_broken = np.full((2, 3), 7.0)
    flat_or_broken[0, 1] = bad
    regions = find_regions(np.stack([flat_or_broken, drawn("#.. ...")]), THRESHOLDS)
    assert regions.map_index.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "degenerate"),
    [
        (np.array([[-3e38, 3e38]], dtype=np.float32), False),  # the range overflows float32
        (np.array([[-1.7e308, 1.7e308]]), True),  # the range overflows float64
        (np.empty((0, 0)), True),
    ],
)
def test_the_same_rule_decides_which_maps_are_degenerate_and_which_are_scaled(values, degenerate):
    assert is_degenerate(values) == degenerate
    assert scale_maps(values[None])[0].size == (0 if degenerate else 2)


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 3, 3)])
def test_nothing_found_is_empty_arrays(shape):
    regions = find_regions(np.zeros(shape), THRESHOLDS)
    assert regions.boxes.shape == (0, 4)
    assert regions.peak.shape == regions.threshold.shape == regions.map_index.shape == (0,)


def test_any_number_of_thresholds():
    one = drawn("..o#o.")[None]
    assert find_regions(one, []).boxes.shape == (0, 4)
    assert len(find_regions(one, np.arange(255.0).tolist()).boxes) == 255


@pytest.mark.parametrize("threshold", [-0.1, 255, np.nan])
def test_threshold_that_cannot_part_a_map_is_refused(threshold):
    with pytest.raises(CxrlocError, match="at least 0 and below 255"):
        find_regions(drawn("#.")[None], [threshold])


def made(kind: str, rows: int, columns: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, columns))
    if kind == "smooth":
        return ndimage.gaussian_filter(noise, 1)
    if kind == "plateaus":
        return np.clip(ndimage.gaussian_filter(noise, 1), -0.2, 0.2)
    if kind == "ties":  # grey levels that include 0, 60, 180 and 255
        grid = rng.choice([0.0, 30.0, 60.0, 90.0, 180.0, 210.0, 255.0], size=(rows, columns))
        grid.flat[:2] = 0.0, 255.0
        return grid
    if kind == "ridges":
        return np.maximum.outer(rng.random(rows), rng.random(columns))
    return noise


def maps_of(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    grids = st.builds(made, st.sampled_from(KINDS), sizes, sizes, st.integers(0, 2**32))
    return grids.filter(lambda grid: np.ptp(grid) > 0)


maps, small_maps = maps_of(st.integers(5, 32)), maps_of(st.integers(2, 9))


@given(maps)
@settings(max_examples=40)
def test_mirroring_and_transposing_a_map_does_the_same_to_its_boxes(grid):
    def ordered(of: np.ndarray) -> np.ndarray:
        return of[np.lexsort(of.round(9).T)]

    plain = find_regions(grid[None], THRESHOLDS).boxes
    mirrored = find_regions(grid[None, :, ::-1], THRESHOLDS).boxes[:, [2, 1, 0, 3]]
    mirrored[:, [0, 2]] = grid.shape[1] - mirrored[:, [0, 2]]
    transposed = find_regions(grid.T[None], THRESHOLDS).boxes[:, [1, 0, 3, 2]]
    np.testing.assert_allclose(ordered(mirrored), ordered(plain), atol=1e-9)
    np.testing.assert_allclose(ordered(transposed), ordered(plain), atol=1e-9)


@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=4), st.sampled_from(KINDS))
@settings(max_examples=20)
def test_maps_in_a_batch_are_independent(seeds, kind):
    batch = np.stack([made(kind, 7, 9, seed) for seed in seeds])
    together = find_regions(batch, THRESHOLDS)
    for k, grid in enumerate(batch):
        alone = find_regions(grid[None], THRESHOLDS)
        np.testing.assert_array_equal(together.boxes[together.map_index == k], alone.boxes)
        np.testing.assert_array_equal(together.peak[together.map_index == k], alone.peak)


@given(maps)
@settings(max_examples=40)
def test_boxes_lie_in_the_grid_and_in_a_box_of_the_lower_threshold(grid):
    regions = find_regions(grid[None], THRESHOLDS)
    low, high = (regions.boxes[regions.threshold == t] for t in THRESHOLDS)
    rows, columns = grid.shape
    assert contains(np.array([[0, 0, columns, rows]]), low).all()
    assert contains(low, high, 1e-9).any(axis=0).all()
    assert (regions.peak > regions.threshold / 255).all()
    assert regions.peak.max() == 1


def contains(outer: np.ndarray, inner: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    outwards = np.concatenate(
        [inner[:, :2] - outer[:, None, :2], outer[:, None, 2:] - inner[:, 2:]], axis=2
    )
    return (outwards >= -tolerance).all(axis=2)


# Oracle 1: the surface sampled on every line between centres. A box's sides lie on these lines,
# so they are bracketed by two samples; only a neck at a saddle can slip between samples.


def sampled(excess: np.ndarray, per_cell: int) -> np.ndarray:
    """Where the surface is above 0, from border to border; there it is that of the last centres."""
    shape = tuple((n - 1) * per_cell + 1 for n in excess.shape)
    surface = F.interpolate(
        torch.from_numpy(excess)[None, None], shape, mode="bilinear", align_corners=True
    )
    return np.pad(surface[0, 0].numpy() > 0, per_cell // 2, mode="edge")


def boxes_of_labels(labels: np.ndarray) -> np.ndarray:
    """First and last sample of each region: x_min, y_min, x_max, y_max."""
    found = ndimage.find_objects(labels)
    return np.array([[x.start, y.start, x.stop - 1, y.stop - 1] for y, x in found]).reshape(-1, 4)


def narrowest_neck(excess: np.ndarray) -> float:
    """Half the neck's side, in cells, at the saddle nearest 0: (x - xs)(y - ys) = side squared."""
    a, b, c, d = excess[:-1, :-1], excess[:-1, 1:], excess[1:, :-1], excess[1:, 1:]
    crossed = ((a > 0) == (d > 0)) & ((b > 0) == (c > 0)) & ((a > 0) != (b > 0))
    bend = np.where(crossed, a + d - b - c, np.inf)
    xs, ys = (a - c) / bend, (a - b) / bend
    saddle = (1 - ys) * ((1 - xs) * a + xs * b) + ys * ((1 - xs) * c + xs * d)
    return float(np.sqrt(np.abs(saddle / bend)[crossed]).min(initial=np.inf))


def bracketed(exact: np.ndarray, samples: np.ndarray, per_cell: int) -> np.ndarray:
    """Which exact boxes (rows) end between which outermost sample and the next one outwards."""
    inner = samples / per_cell
    outer = inner + np.array([-1, -1, 1, 1]) / per_cell
    return contains(exact, inner, 1e-9) & contains(outer, exact, 1e-9).T


@given(small_maps)
@settings(max_examples=40)
def test_sides_are_bracketed_by_samples_on_the_lines_between_centres(grid):
    per_cell = 64
    regions = find_regions(grid[None], THRESHOLDS)
    for threshold in THRESHOLDS:
        excess = scale_maps(grid[None])[0][0] - threshold
        samples = boxes_of_labels(ndimage.label(sampled(excess, per_cell))[0])
        exact = regions.boxes[regions.threshold == threshold]
        match = bracketed(exact, samples, per_cell)
        one_to_one = len(exact) == len(samples) and match.any(0).all() and match.any(1).all()
        assert one_to_one or narrowest_neck(excess) < 2 / per_cell


# Oracle 2: what everybody does, upsampling as for display and labelling pixels. It must agree
# within a pixel, unless the surface, sampled four times denser than pixels, is thin there.


def solid_regions(above: np.ndarray) -> tuple[np.ndarray, int]:
    """Boxes of the regions without anything thinner than a pixel's diagonal; the number of all.

    Solid is a region that stays in one piece, keeps its box (up to the thickness) and loses no
    tongue when such a thickness is shaved off, and meets no other region when it is added.
    """
    thickness = 3  # samples from each side, a pixel being four
    labels, count = ndimage.label(above)
    shaved, pieces = ndimage.label(ndimage.minimum_filter(above, size=2 * thickness + 1))
    grown, _ = ndimage.label(ndimage.maximum_filter(above, size=2 * thickness + 1))
    owner, within = np.zeros(pieces, dtype=int), np.zeros(count, dtype=int)
    owner[shaved[shaved > 0] - 1] = labels[shaved > 0]
    within[labels[above] - 1] = grown[above]
    pieces_of = np.bincount(owner, minlength=count + 1)[1:]
    tongues = above & ~ndimage.maximum_filter(shaved > 0, size=4 * thickness + 1)
    tongues_of = np.bincount(labels[tongues], minlength=count + 1)[1:]
    whole = (pieces_of == 1) & (tongues_of == 0) & (np.bincount(within)[within] == 1)
    boxes, shaved_boxes = boxes_of_labels(labels), boxes_of_labels(shaved)
    kept = np.zeros(count, dtype=bool)
    least = shaved_boxes - thickness * np.array([1, 1, -1, -1])
    kept[owner - 1] = (np.abs(least - boxes[owner - 1]) <= thickness).all(axis=1)
    return boxes[whole & kept], count


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(some[:, None] - others).max(axis=2)


def solid_share(grid: np.ndarray, per_cell: int) -> float:
    """Compare exact boxes with those of pixels; returns the share of regions that is compared."""
    exact = find_regions(grid[None], THRESHOLDS)
    dense = find_regions_dense(
        grid[None], THRESHOLDS, shape=(grid.shape[0] * per_cell, grid.shape[1] * per_cell)
    )
    compared = total = 0
    for threshold in THRESHOLDS:
        excess = scale_maps(grid[None])[0][0] - threshold
        samples, count = solid_regions(sampled(excess, 4 * per_cell))
        ours, theirs = (of.boxes[of.threshold == threshold] for of in (exact, dense))
        assert len(ours) == len(theirs) or len(samples) < count
        if len(samples) > 0:
            solid = samples / (4 * per_cell)
            pair = [of[distances(solid, of).argmin(axis=1)] for of in (ours, theirs)]
            assert np.abs(pair[0] - solid).max() <= 0.25 / per_cell + 1e-9
            assert np.abs(pair[0] - pair[1]).max() <= 1 / per_cell + 1e-9
        compared, total = compared + len(samples), total + count
    return compared / total


@given(maps)
@example(made("plateaus", 5, 29, 15430))  # reaches the border along a spike of a fiftieth of a cell
@settings(max_examples=15)
def test_boxes_agree_with_labelled_pixels_except_where_something_is_thin(grid):
    assert 0 <= solid_share(grid, per_cell=16) <= 1


def test_most_regions_of_smooth_maps_are_not_thin_so_they_are_compared():
    shares = [solid_share(made("smooth", 8, 8, seed), per_cell=32) for seed in range(8)]
    assert np.mean(shares) > 0.6


def agreeing_with_1024_pixels(grids: np.ndarray) -> float:
    """Share of exact boxes that some box of the upsampled map meets within a pixel."""
    pixel = np.array([grids.shape[2], grids.shape[1]] * 2) / 1024
    exact = find_regions(grids, THRESHOLDS)
    dense = find_regions_dense(grids, THRESHOLDS, shape=(1024, 1024))
    key, other = (np.stack([of.map_index, of.threshold], axis=1) for of in (exact, dense))
    near = distances(exact.boxes / pixel, dense.boxes / pixel) <= 1 + 1e-9
    return float((near & (key[:, None] == other).all(axis=2)).any(axis=1).mean())


@pytest.mark.parametrize("size", [8, 16, 32])
def test_nine_of_ten_boxes_agree_with_maps_upsampled_to_1024(size):
    grids = np.stack([made("smooth", size, size, seed) for seed in range(5)])
    assert agreeing_with_1024_pixels(grids) > 0.9


def test_boxes_agree_with_pixels_on_maps_of_a_network_that_sees_radiographs(shared):
    network = mobilenet_v2().eval()
    weights = shared / "weights" / "mobilenet_v2_imagenet.pt"
    network.load_state_dict(torch.load(weights, weights_only=True))
    paths = sorted((shared / "data" / "chestxray14" / "images").glob("*.jpg"))[:2]
    pixels = np.stack([imread(path) for path in paths]).astype(np.float32) / 255
    images = torch.from_numpy(pixels)[:, None].expand(-1, 3, -1, -1)
    with torch.inference_mode():
        features = network.features(F.interpolate(images, (512, 512), mode="area"))
        # CAM of ImageNet classes: maps of a real network, if not of findings.
        cams = torch.einsum("bdhw,cd->bchw", features, network.classifier[1].weight[::250])
    grids = cams.flatten(0, 1).numpy()
    assert agreeing_with_1024_pixels(grids) > 0.8
    assert np.mean([solid_share(grid, per_cell=16) for grid in grids[:4]]) > 0.25
