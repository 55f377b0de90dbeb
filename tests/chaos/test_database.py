"""The history's database stands still: pictures are made, and all of them are paid afterwards."""

from collections.abc import Callable

from tests.chaos.cluster import ChaosCluster
from tests.chaos.conftest import Note
from tests.chaos.ledger import check_ledger
from tests.chaos.load import Load
from tests.unit.records.databases import locked

BEFORE, DURING, AFTER = 6, 40, 6  # answers

Loads = Callable[..., Load]


def test_a_database_that_stands_still_costs_no_request(
    cluster: ChaosCluster, load: Loads, note: Note
) -> None:
    with load() as clients:
        clients.until_answers(BEFORE)
        with locked(cluster.folder / "records.db"):
            locked_s = clients.until_answers(DURING)
        clients.until_answers(AFTER)
    report = clients.report
    note(f"{report.line()}, {DURING} of them while it stood still for {locked_s:.1f} s")
    assert not report.failures
    check_ledger(cluster.url, report)
    assert report.longest_gap_s <= report.allowed_gap_s
