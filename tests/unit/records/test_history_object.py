"""The history's objects have exactly the names of the contract."""

import json

import pytest

from serve_app.records.history_object import history_object, iso_time, usd
from serve_app.records.rows import RequestRecord

RECORD = RequestRecord(
    id="req_5f",
    usage_event_id="use_1",
    organisation="acme",
    key_id="kr_aaaaaaaa",
    created_at_ms=1_763_820_000_007,
    model="flux.1-krea-dev",
    endpoint="/images/edits",
    status="upstream_failure",
    cost_micros=25_000,
    duration_ms=12,
    error_code="TIMEOUT",
    error_message="late",
    session_id="session",
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    user="user-1",
    request_size_bytes=31,
    response_size_bytes=None,
)


def test_an_object_is_complete_and_says_no_more() -> None:
    assert json.loads(json.dumps(history_object(RECORD))) == {
        "id": "req_5f",
        "object": "request",
        "created_at": "2025-11-22T14:00:00.007Z",
        "model": "flux.1-krea-dev",
        "modality": "image",
        "endpoint": "/images/edits",
        "status": "upstream_failure",
        "cost": 0.025,
        "currency": "usd",
        "duration_ms": 12,
        "key_id": "kr_aaaaaaaa",
        "error_code": "TIMEOUT",
        "error_message": "late",
        "session_id": "session",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "user": "user-1",
        "request_size_bytes": 31,
        "response_size_bytes": None,
    }


@pytest.mark.parametrize("milliseconds", range(0, 1000, 37))
def test_no_millisecond_is_lost(milliseconds: int) -> None:
    written = iso_time(1_763_820_000_000 + milliseconds)
    assert written == f"2025-11-22T14:00:00.{milliseconds:03d}Z"


@pytest.mark.parametrize(
    ("micros", "amount"), [(0, 0.0), (1, 0.000001), (25_000, 0.025), (75_000, 0.075)]
)
def test_money_is_exact_to_the_millionth(micros: int, amount: float) -> None:
    assert usd(micros) == amount
