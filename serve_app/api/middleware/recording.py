"""Every request of the image routes goes into the history, however it ends.

No prompt and no picture does, nor a sentence that may quote one.
"""

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from typing import cast

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.observed import note_error
from serve_app.errors import RequestError
from serve_app.messages import WrittenImage
from serve_app.model_facts import MODEL_ID
from serve_app.records.keys import Caller
from serve_app.records.recorder import Recorder
from serve_app.records.rows import Admission, KeptImage, Outcome, Status

logger = logging.getLogger(__name__)

# What clients call their own series of requests.
SESSION_HEADER = "x-session-id"
MAX_SESSION_CHARACTERS = 255

# The sentences about these quote what the client sent.
PRIVATE_FIELDS = frozenset({"prompt", "image", "mask"})

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


@dataclass(slots=True)
class Recording:
    """What the history will say of one request; whoever finds something out notes it here.

    Attributes:
        recorder: The way into the history.
        caller: Who sent it.
        endpoint: The path, without the prefix.
        request_id: `req_…`.
        session_id: The client's name for a series of requests.
        trace_id: Of W3C's `traceparent`.
        created_at_ms: When it came.
        user: The client's name for its own user.
        request_size_bytes: Of the body, as far as it was read.
        response_size_bytes: Of the answer's body, as far as it was sent.
        status_code: Of the answer, once it has begun.
        error: Why it failed.
        cost_micros: Of the pictures that were made, in millionths of a US dollar.
        is_payable: Whether they may be charged: while an `Idempotency-Key` is free again if the
            request ends now, they may not, for its next request would be charged too.
        images: Those that can be downloaded.
        is_wanted: Whether it is a request at all: a dry run and a repetition are none.
        is_finished: Whether the outcome is on its way.
        admission: What the history said when work began.
    """

    recorder: Recorder
    caller: Caller
    endpoint: str
    request_id: str
    session_id: str | None
    trace_id: str | None
    created_at_ms: int
    user: str | None = None
    request_size_bytes: int = 0
    response_size_bytes: int = 0
    status_code: int | None = None
    error: RequestError | None = None
    cost_micros: int = 0
    is_payable: bool = True
    images: tuple[KeptImage, ...] = ()
    is_wanted: bool = True
    is_finished: bool = False
    admission: Admission | None = None

    def admit(self) -> Admission:
        """Note that work begins; from here on the request is in the history."""
        self.admission = Admission(
            request_id=self.request_id,
            organisation=self.caller.organisation,
            key_id=self.caller.key_id,
            created_at_ms=self.created_at_ms,
            model=MODEL_ID,
            endpoint=self.endpoint,
            request_size_bytes=self.request_size_bytes,
            session_id=self.session_id,
            trace_id=self.trace_id,
            user=self.user,
        )
        self.recorder.admit(self.admission)
        return self.admission

    def made(self, images: tuple[WrittenImage, ...], cost_micros: int, expires_at_ms: int) -> None:
        """Note what was made: it is paid for even if the client leaves, unless an error follows."""
        self.cost_micros = cost_micros
        self.images = tuple(
            KeptImage(image.object_name, image.size_bytes, expires_at_ms)
            for image in images
            if image.object_name is not None
        )

    async def finish(self, *, is_complete: bool) -> None:
        """Note how it ended, once; returns when the history has it, or soon after."""
        if self.is_finished or not self.is_wanted:
            return
        self.is_finished = True
        await self.recorder.finish(self.admission or self.admit(), self._outcome(is_complete))

    def _outcome(self, is_complete: bool) -> Outcome:
        error = self.error
        is_private = error is None or error.param in PRIVATE_FIELDS
        return Outcome(
            status=self._status(is_complete),
            duration_ms=int(time.time() * 1000) - self.created_at_ms,
            cost_micros=self.cost_micros if error is None and self.is_payable else 0,
            response_size_bytes=self.response_size_bytes if is_complete else None,
            error_code=None if error is None else error.code,
            error_message=None if is_private or error is None else error.message,
            images=self.images,
        )

    def _status(self, is_complete: bool) -> Status:
        if self.error is not None:
            return "upstream_failure" if self.error.status_code >= 500 else "rejected"
        return "completed" if is_complete else "cancelled"


def recording_of(request: Request) -> Recording:
    """Return what the history will say of a request to a route behind `RecordRequests`."""
    return cast(Recording, request.state.recording)


def is_dry_run(request: HTTPConnection) -> bool:
    """Whether a request only asks what it would cost."""
    return request.query_params.get("dryRun", "").lower() in ("true", "1")


def note_failure(request: Request, error: RequestError) -> None:
    """Note why a request failed, also in the history if its route is one that is recorded."""
    note_error(request, error)
    recording = getattr(request.state, "recording", None)
    if recording is not None:
        recording.error = error


class RecordRequests:
    """Watches a request from its first byte to the last one of its answer."""

    def __init__(self, app: ASGIApp, recorder: Recorder, endpoint: str) -> None:
        """Record the requests of an app under the path of its route."""
        self.app = app
        self._recorder = recorder
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and write down how it went."""
        recording = scope["state"]["recording"] = self._begin(scope)

        async def receive_and_count() -> Message:
            message = await receive()
            recording.request_size_bytes += len(message.get("body", b""))
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.body":
                recording.response_size_bytes += len(message.get("body", b""))
                if not message.get("more_body", False):
                    # Before the client has the last byte: it may look itself up at once.
                    await recording.finish(is_complete=True)
            await send(message)

        try:
            await self.app(scope, receive_and_count, send_and_note)
        except Exception as error:
            recording.error = error if isinstance(error, RequestError) else RequestError("")
            raise
        finally:
            await asyncio.shield(recording.finish(is_complete=False))

    def _begin(self, scope: Scope) -> Recording:
        headers = Headers(scope=scope)
        trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        return Recording(
            recorder=self._recorder,
            caller=scope["state"]["caller"],
            endpoint=self._endpoint,
            request_id=scope["state"]["request_id"],
            session_id=headers.get(SESSION_HEADER, "")[:MAX_SESSION_CHARACTERS] or None,
            trace_id=None if trace is None else trace[1],
            created_at_ms=int(time.time() * 1000),
            is_wanted=not is_dry_run(HTTPConnection(scope)),
        )
