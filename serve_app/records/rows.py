"""What is recorded of a request, and what is read of it. No prompt, no picture."""

import secrets
from dataclasses import dataclass, field
from typing import Literal, get_args

Status = Literal["completed", "pending", "processing", "upstream_failure", "rejected", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)


def new_usage_event_id() -> str:
    """Return the name of one thing to be billed: however often it is written, it is billed once."""
    return f"use_{secrets.token_hex(16)}"


@dataclass(frozen=True, slots=True)
class Admission:
    """What is known of a request when it is let in.

    Attributes:
        request_id: `req_…`.
        organisation: Whose request it is.
        key_id: The public part of its key; None without one.
        created_at_ms: When it came.
        model: The canonical name.
        endpoint: The path, without the prefix.
        request_size_bytes: Of its body.
        session_id: The client's name for a series of requests.
        trace_id: Of W3C's `traceparent`.
        user: The client's name for its own user.
        usage_event_id: Made here, so that what is written twice is counted once.
    """

    request_id: str
    organisation: str
    key_id: str | None
    created_at_ms: int
    model: str
    endpoint: str
    request_size_bytes: int
    session_id: str | None = None
    trace_id: str | None = None
    user: str | None = None
    usage_event_id: str = field(default_factory=new_usage_event_id)


@dataclass(frozen=True, slots=True)
class KeptImage:
    """A picture in the image store.

    Attributes:
        object_name: Its name there.
        size_bytes: Of its file.
        expires_at_ms: When the store deletes it.
    """

    object_name: str
    size_bytes: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        status: Neither `pending` nor `processing`.
        duration_ms: From its arrival to the end of its answer.
        cost_micros: In millionths of a US dollar.
        response_size_bytes: Of the answer's body; None when there was none.
        error_code: As in the answer.
        error_message: As in the answer.
        images: Those of its pictures that can be downloaded.
    """

    status: Status
    duration_ms: int
    cost_micros: int = 0
    response_size_bytes: int | None = None
    error_code: str | None = None
    error_message: str | None = None
    images: tuple[KeptImage, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request in the history: its admission, and its outcome once there is one.

    Attributes:
        id: `req_…`.
        usage_event_id: What it is billed as.
        organisation: Whose request it is.
        key_id: The public part of its key; None without one.
        created_at_ms: When it came.
        model: The canonical name.
        endpoint: The path, without the prefix.
        status: How far it got.
        cost_micros: In millionths of a US dollar; 0 until it has completed.
        duration_ms: None until it has ended.
        error_code: As in the answer.
        error_message: As in the answer.
        session_id: The client's name for a series of requests.
        trace_id: Of W3C's `traceparent`.
        user: The client's name for its own user.
        request_size_bytes: Of its body.
        response_size_bytes: Of the answer's body.
    """

    id: str
    usage_event_id: str
    organisation: str
    key_id: str | None
    created_at_ms: int
    model: str
    endpoint: str
    status: Status
    cost_micros: int
    duration_ms: int | None
    error_code: str | None
    error_message: str | None
    session_id: str | None
    trace_id: str | None
    user: str | None
    request_size_bytes: int
    response_size_bytes: int | None
