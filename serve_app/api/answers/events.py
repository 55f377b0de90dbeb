"""Pictures as server-sent events, in OpenAI's words."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

from serve_app.api.answers.errors import error_of
from serve_app.api.answers.images import usage_of
from serve_app.api.answers.schema import CompletedEvent, Document, ErrorEvent, PartialImageEvent
from serve_app.api.request.images_request import ImagesRequest
from serve_app.errors import RequestError
from serve_app.messages import WrittenImage

# Proxies close a connection that is silent for a minute; some clients sooner.
KEEP_ALIVE_PERIOD_S = 15.0
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of a stream.

    Attributes:
        content: An event or a comment.
        is_last: Whether nothing follows.
    """

    content: bytes
    is_last: bool = False


KEEP_ALIVE = Chunk(b": keep-alive\n\n")


class EventResponse(StreamingResponse):
    """Sends a request's previews and its picture as they come.

    The last event also ends the answer: a client that has read it may leave at once, and whoever
    watches for the end of the answer must have seen it by then.
    """

    def __init__(
        self,
        asked: ImagesRequest,
        images: AsyncGenerator[WrittenImage],
        on_error: Callable[[RequestError], None],
        headers: Mapping[str, str],
    ) -> None:
        """Prepare to send.

        Args:
            asked: The request.
            images: Its previews and then its picture; closed when the client leaves.
            on_error: Is told why the stream fails, which its status cannot tell any more.
            headers: To send besides the stream's own.
        """
        self._chunks = with_keep_alives(_sent(asked, images, on_error), KEEP_ALIVE_PERIOD_S)
        super().__init__((), headers={**HEADERS, **headers}, media_type="text/event-stream")

    async def stream_response(self, send: Send) -> None:
        """Send the answer."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send(start | {"headers": self.raw_headers})
        is_over = False
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                # Behind the last event the pipeline still tidies up.
                if not is_over:
                    is_over = chunk.is_last
                    body = {"body": chunk.content, "more_body": not is_over}
                    await send({"type": "http.response.body"} | body)


async def with_keep_alives(chunks: AsyncGenerator[Chunk], period_s: float) -> AsyncGenerator[Chunk]:
    """Yield chunks, and a comment whenever none came for `period_s` seconds."""
    async with aclosing(chunks):
        while True:
            coming: asyncio.Task[Chunk | None] = asyncio.ensure_future(anext(chunks, None))
            try:
                while not (await asyncio.wait((coming,), timeout=period_s))[0]:
                    yield KEEP_ALIVE
            finally:
                # Before the generator under it can be closed, it must have stopped running.
                coming.cancel()
                await asyncio.wait((coming,))
            if (chunk := coming.result()) is None:
                return
            yield chunk


async def _sent(
    asked: ImagesRequest,
    images: AsyncGenerator[WrittenImage],
    on_error: Callable[[RequestError], None],
) -> AsyncGenerator[Chunk]:
    """Yield an event for every image; the last one is the picture or an error."""
    num_previews = 0
    try:
        async with aclosing(images):
            async for image in images:
                # Base64 of a large picture would hold up every other request on this replica.
                event = await run_in_threadpool(_event, asked, image, num_previews)
                yield Chunk(event, is_last=not image.is_preview)
                num_previews += 1
    except Exception as error:
        # The status is sent: a stream that simply stops would look like success to a client.
        if not isinstance(error, RequestError):
            logger.exception("request %s failed in its stream", asked.params.request_id)
            error = RequestError("Internal server error.")
        on_error(error)
        yield Chunk(_encoded("error", ErrorEvent(error=error_of(error))), is_last=True)


def _event(asked: ImagesRequest, image: WrittenImage, num_previews: int) -> bytes:
    assert image.content is not None
    shared: dict[str, Any] = {
        "b64_json": base64.b64encode(image.content).decode("ascii"),
        "created_at": int(time.time()),
        "size": str(image.output),
        "output_format": image.output_format,
    }
    event: PartialImageEvent | CompletedEvent
    if image.is_preview:
        # What the f-string can be, mypy cannot see.
        kind: Any = f"{asked.operation}.partial_image"
        event = PartialImageEvent(type=kind, partial_image_index=num_previews, **shared)
    else:
        kind = f"{asked.operation}.completed"
        event = CompletedEvent(type=kind, usage=usage_of(asked.params, image.facts), **shared)
    return _encoded(event.type, event)


def _encoded(kind: str, event: Document) -> bytes:
    return f"event: {kind}\ndata: {event.model_dump_json()}\n\n".encode()
