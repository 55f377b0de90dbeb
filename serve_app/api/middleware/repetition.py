"""`Idempotency-Key`: a request that is sent again is answered again, and not done again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serve_app.api.middleware.authentication import caller_of
from serve_app.api.middleware.every_request import answers_for, request_id_of
from serve_app.api.middleware.recording import recording_of
from serve_app.api.services import services_of
from serve_app.api.values import invalid
from serve_app.deadline import Deadline
from serve_app.errors import IdempotencyMismatchError
from serve_app.records.fingerprints import fingerprint
from serve_app.records.idempotency import (
    MAX_KEY_CHARACTERS,
    Claim,
    Idempotency,
    KeyedRequest,
    Mismatch,
)
from serve_app.records.stored_answers import StoredAnswer

KEY_HEADER = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}

# Those that belong to the content; the others are said anew.
KEPT_HEADERS = (
    "content-type",
    "cache-control",
    "x-accel-buffering",
    "x-lumenfall-model",
    "x-lumenfall-provider",
)

Answer = Callable[[], Awaitable[Response]]


def check_key(request: Request) -> None:
    """Check the length of an `Idempotency-Key`, if there is one.

    Raises:
        InvalidRequestError: It is empty or too long.
    """
    key = request.headers.get(KEY_HEADER)
    if key is not None and not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        rule = f"Must have 1 to {MAX_KEY_CHARACTERS} characters; this has {len(key)}."
        raise invalid.wrong_value(KEY_HEADER, key, rule)


async def answer_once(
    request: Request, body: dict[str, Any], deadline: Deadline, answer: Answer
) -> Response:
    """Return the answer to a request, or the one it got before under the same key.

    Args:
        request: Without an `Idempotency-Key`, which `check_key` saw, it is simply answered.
        body: What it says.
        deadline: Of the request, whether it does the work or waits for another that does.
        answer: Does the work.

    Raises:
        IdempotencyMismatchError: The key belongs to another request.
        DeadlineExceededError: Another request with this key was still running at the deadline.
        OverloadedError: The database does not answer, so that nothing can be promised.
    """
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return await answer()
    idempotency = services_of(request).records.idempotency
    endpoint = recording_of(request).endpoint
    keyed = KeyedRequest(
        caller=caller_of(request).organisation,
        key=key,
        fingerprint=await run_in_threadpool(fingerprint, endpoint, body),
        request_id=request_id_of(request),
    )
    async with deadline.kept():
        begun = await idempotency.begin(keyed)
    match begun:
        case Mismatch():
            raise IdempotencyMismatchError
        case StoredAnswer():
            return _replayed(request, begun)
        case Claim():
            return KeptResponse(request, idempotency, begun, answer)


class KeptResponse(Response):
    """An answer that is made while its key is held, and kept before its last byte is sent.

    It is charged if it was kept. Else the key is free again, and who repeats the request pays then.
    """

    def __init__(
        self, request: Request, idempotency: Idempotency, claim: Claim, answer: Answer
    ) -> None:
        self._request = request
        self._idempotency = idempotency
        self._claim = claim
        self._answer = answer
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and send its answer."""
        chunks: list[bytes] = []
        status_code, headers = 0, Headers()

        async def keep_and_send(message: Message) -> None:
            nonlocal status_code, headers
            if message["type"] == "http.response.start":
                status_code, headers = message["status"], Headers(raw=message["headers"])
            else:
                chunks.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _to_the_end(self._keep(status_code, headers, b"".join(chunks)))
            await send(message)

        recording_of(self._request).is_payable = False
        async with self._idempotency.held(self._claim):
            response = await self._answer()
            await response(scope, receive, keep_and_send)

    async def _keep(self, status_code: int, headers: Headers, body: bytes) -> None:
        recording = recording_of(self._request)
        # A stream says 200 before it fails.
        if recording.error is not None:
            return
        kept = tuple((name, headers[name]) for name in KEPT_HEADERS if name in headers)
        stored = StoredAnswer(request_id_of(self._request), status_code, kept, body)
        recording.is_payable = await self._idempotency.finish(self._claim, stored)


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Do some work whether or not its caller is cancelled, who then leaves after it."""
    doing = asyncio.create_task(work)
    # A stream is sent within a task group of anyio, which cancels again and again.
    with anyio.CancelScope(shield=True):
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait([doing])
            raise


def _replayed(request: Request, stored: StoredAnswer) -> Response:
    answers_for(request, stored.request_id)
    recording_of(request).is_wanted = False
    headers = dict(stored.headers) | REPLAYED
    return Response(stored.body, stored.status_code, headers)
