"""The history's objects as clients see them: Lumenfall's names, and nothing that it has not."""

from datetime import UTC, datetime

from serve_app.records.rows import RequestRecord

MICROS = 10**6

JsonScalar = str | int | float | None


def history_object(record: RequestRecord) -> dict[str, JsonScalar]:
    """Return one request of the history as JSON's values."""
    return {
        "id": record.id,
        "object": "request",
        "created_at": iso_time(record.created_at_ms),
        "model": record.model,
        "modality": "image",
        "endpoint": record.endpoint,
        "status": record.status,
        "cost": usd(record.cost_micros),
        "currency": "usd",
        "duration_ms": record.duration_ms,
        "key_id": record.key_id,
        "error_code": record.error_code,
        "error_message": record.error_message,
        "session_id": record.session_id,
        "trace_id": record.trace_id,
        "user": record.user,
        "request_size_bytes": record.request_size_bytes,
        "response_size_bytes": record.response_size_bytes,
    }


def iso_time(time_ms: int) -> str:
    """Return a time as `2026-11-22T20:47:00.123Z`."""
    # From whole seconds: as a fraction, milliseconds would be rounded down.
    second = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{second:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def usd(cost_micros: int) -> float:
    """Return an amount in US dollars."""
    return cost_micros / MICROS
