"""Both engines do all images in order; a poisonous image costs itself and nothing else."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from cxrloc.archive.engines import ENGINES
from cxrloc.archive.isolation import Isolated, Item, Step
from cxrloc.archive.plan import make_plan
from cxrloc.archive.ray_tasks import shares_of
from cxrloc.archive.steps import Resources
from cxrloc.errors import CxrlocError, UsageError
from tests.archive.stub_steps import finding, stub_steps, table_rows, write_uris

POISON = {
    "die": ("read", "the image ended its process by signal 6"),
    "hang": ("read", "the image took longer than 5 seconds"),
    "eat": ("read", "there is not enough memory to read it"),
    "broken": ("read", "an empty file"),
    "overflow": ("network", "the image ended its process by signal 9"),
}


@pytest.fixture(
    params=[
        "local",
        pytest.param("ray", marks=[pytest.mark.slow, pytest.mark.filterwarnings("default")]),
    ]
)
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        request.getfixturevalue("ray_started")
    return str(request.param)


def test_poisonous_images_cost_themselves_and_their_neighbours_are_done(
    engine: str, tmp_path: Path
) -> None:
    uris = [f"good-{n}" for n in range(8)]
    for at, name in zip((1, 3, 4, 6, 9), POISON, strict=True):
        uris.insert(at, f"{name}-{at}")
    manifest = write_uris(tmp_path / "m.parquet", uris)
    parts = [*make_plan(str(manifest), 5).parts()]
    steps = stub_steps(manifest, tmp_path / "out")
    done = [*ENGINES[engine](parts, steps, Resources(1, ("cpu",)))]
    assert sorted((part.part, part.images) for part in done) == [(0, 5), (1, 5), (2, 3)]
    findings = table_rows(tmp_path / "out", "findings")
    good = [uri for uri in uris if uri.startswith("good")]
    assert [tuple(row.values()) for row in findings] == [
        finding(Item(0, uri, 0.0, uri.upper())) for uri in good
    ]
    failures = [tuple(row.values()) for row in table_rows(tmp_path / "out", "failures")]
    bad = [uri for uri in uris if not uri.startswith("good")]
    assert failures == [(uri, *POISON[uri.partition("-")[0]]) for uri in bad]
    assert sum(part.failed for part in done) == len(bad)


def test_parts_that_are_left_out_are_not_touched(engine: str, tmp_path: Path) -> None:
    manifest = write_uris(tmp_path / "m.parquet", [f"good-{n}" for n in range(10)])
    parts = [*make_plan(str(manifest), 4).parts()]
    steps = stub_steps(manifest, tmp_path / "out")
    list(ENGINES[engine]([parts[0], parts[2]], steps, Resources(1, ("cpu",))))
    assert not (tmp_path / "out/part-000001").exists()
    uris = Counter(row["uri"] for row in table_rows(tmp_path / "out", "findings"))
    assert uris == dict.fromkeys([f"good-{n}" for n in (0, 1, 2, 3, 8, 9)], 1)


def fail_to_prepare(message: str, device: str) -> None:
    raise UsageError(message)


def test_a_step_that_cannot_start_ends_the_run_and_no_image_fails(
    engine: str, tmp_path: Path
) -> None:
    manifest = write_uris(tmp_path / "m.parquet", ["good-0"])
    steps = stub_steps(manifest, tmp_path / "out")
    steps = steps._replace(network=Step("network", partial(fail_to_prepare, "no such model")))
    with pytest.raises(UsageError, match=r"^no such model$"):
        list(
            ENGINES[engine](
                list(make_plan(str(manifest), 4).parts()), steps, Resources(1, ("cpu",))
            )
        )
    assert not (tmp_path / "out").exists()


def die_at_start(device: str) -> None:
    import os

    os._exit(3)


def test_a_process_that_dies_at_its_start_is_no_image_that_failed() -> None:
    isolated = Isolated(Step("read", die_at_start))
    with pytest.raises(
        CxrlocError, match="'read' does not start: it ended its process with status 3"
    ):
        isolated([Item(0, "a", 0.0)])


@pytest.mark.parametrize(
    ("cpus", "gpus", "networks"),
    [(1, 0, 1), (2, 0, 2), (64, 0, 64), (16, 8, 8), (1, 1, 1)],
)
def test_networks_reserve_no_processor_of_the_tasks_that_feed_them(
    cpus: int, gpus: int, networks: int
) -> None:
    """Also when half of the machines are lost, and all networks begin again on the others."""
    shares = shares_of(cpus, gpus)
    assert shares.networks == networks
    assert shares.network["num_cpus"] == 0
    assert cpus >= shares.read["num_cpus"]
    assert shares.read["num_cpus"] != shares.network["num_cpus"]


@pytest.mark.parametrize(("cpus", "gpus"), [(0, 0), (0, 4)])
def test_a_cluster_on_which_nothing_could_start_is_refused(cpus: int, gpus: int) -> None:
    with pytest.raises(UsageError, match=r"has \d processors"):
        shares_of(cpus, gpus)
