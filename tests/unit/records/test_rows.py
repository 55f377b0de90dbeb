"""What is recorded has the contract's words, and neither prompt nor picture."""

from dataclasses import fields

from serve_app.records.rows import STATUSES, Admission, RequestRecord, new_usage_event_id
from serve_app.records.tables import requests
from tests.unit.records.conftest import admission


def test_the_statuses_are_the_contract_s() -> None:
    expected = "completed pending processing upstream_failure rejected cancelled"
    assert list(STATUSES) == expected.split()


def test_every_request_is_billed_under_a_name_of_its_own() -> None:
    names = {new_usage_event_id() for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("use_") and len(name) == 36 for name in names)
    assert admission("a").usage_event_id != admission("a").usage_event_id


def test_a_record_is_a_row() -> None:
    assert {field.name for field in fields(RequestRecord)} == set(requests.columns.keys())


def test_neither_prompt_nor_picture_is_recorded() -> None:
    names = {field.name for kind in (Admission, RequestRecord) for field in fields(kind)}
    assert not {name for name in names if "prompt" in name or "image" in name}
