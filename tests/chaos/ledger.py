"""The history of requests beside what the clients saw."""

from collections import Counter
from typing import Any

import httpx

from tests.chaos.cluster import until
from tests.chaos.report import Report

Entries = dict[str, list[dict[str, Any]]]


def entries_by_order(url: str) -> Entries:
    """Return every request in the history, by the name of the order it belongs to."""
    entries: Entries = {}
    page_url: str | None = f"{url}/v1/requests?limit=100"
    with httpx.Client(timeout=60, transport=httpx.HTTPTransport(retries=3)) as client:
        while page_url is not None:
            page = client.get(page_url).raise_for_status().json()
            for entry in page["data"]:
                entries.setdefault(entry["session_id"], []).append(entry)
            page_url = page["next_page_url"]
    return entries


def check_ledger(url: str, report: Report) -> None:
    """Compare the history with the answers.

    Every picture that a client has is there once, completed and paid. No order is paid twice when
    its attempts had one `Idempotency-Key`. What was answered with an error costs nothing.
    """
    until(lambda: not missing(entries_by_order(url), report))
    entries = entries_by_order(url)
    for order in report.orders:
        found = entries.get(order.name, [])
        paid = [entry for entry in found if entry["cost"] > 0]
        assert len(paid) <= 1, (order, found)
        refused = {each.request_id for each in order.attempts if each.is_refused}
        assert not [entry for entry in paid if entry["id"] in refused], (order, found)
    ids = Counter(entry["id"] for found in entries.values() for entry in found)
    assert max(ids.values()) == 1


def missing(entries: Entries, report: Report) -> list[str]:
    """Return the answered requests that the history does not have as completed, or not once."""
    completed = Counter(
        entry["id"]
        for found in entries.values()
        for entry in found
        if entry["status"] == "completed" and entry["cost"] > 0
    )
    answered = [order.last.request_id for order in report.fulfilled]
    return [each for each in answered if each is not None and completed[each] != 1]
