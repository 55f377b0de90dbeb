"""The disk of pictures and history is full: who needs neither is served, others are told."""

import contextlib
import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.chaos.cluster import ChaosCluster, application, changed, chaos_cluster, until
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load
from tests.chaos.pictures import PATH, SEEDS, SIDE_PX, Pictures
from tests.integration.conftest import own_places

DISK = "8m"
BEFORE, DURING, AFTER = 6, 20, 6  # answers
BLOCK = bytes(4096)

Loads = Callable[..., Load]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder that is a small file system of its own."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "krea-serve-test", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def started(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosCluster]:
    """Return a cluster that keeps pictures and history on the small disk."""
    folder = tmp_path_factory.mktemp("chaos")
    schema = changed(application(folder), **own_places(disk))
    with chaos_cluster(folder, schema) as running:
        yield running


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave not a byte free for the length of the block."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(BLOCK)
        yield
    finally:
        filler.unlink()


def files(disk: Path) -> set[Path]:
    """Return all that is kept of pictures, whole or not."""
    return {path for path in (disk / "media").rglob("*") if path.is_file()}


def asked_by_url(cluster: ChaosCluster, pictures: Pictures) -> httpx.Response:
    body = pictures.body(SEEDS[0]) | {"response_format": "url"}
    return httpx.post(f"{cluster.url}{PATH}", json=body, timeout=120)


def test_a_full_disk_costs_only_what_was_to_be_kept_there(
    cluster: ChaosCluster, disk: Path, load: Loads, pictures: Pictures, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        kept = files(disk)
        with filled(disk):
            refused = asked_by_url(cluster, pictures)
            assert files(disk) == kept
            full_s = clients.until_answers(DURING)
        freed = until(lambda: asked_by_url(cluster, pictures).is_success)
        clients.until_answers(AFTER)
    report = clients.report
    note(
        f"{report.line()}, {DURING} of them while the disk was full for {full_s:.1f} s;"
        f" the first URL {freed:.1f} s after"
    )
    assert refused.status_code == 503
    assert "b64_json" in refused.json()["error"]["message"]
    assert int(refused.headers["Retry-After"]) > 0
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s


def test_a_picture_that_was_kept_before_can_still_be_had(
    cluster: ChaosCluster, disk: Path, pictures: Pictures
) -> None:
    (item,) = asked_by_url(cluster, pictures).raise_for_status().json()["data"]
    with filled(disk):
        content = httpx.get(item["url"], timeout=60).raise_for_status().content
    assert Image.open(io.BytesIO(content)).size == (SIDE_PX, SIDE_PX)
