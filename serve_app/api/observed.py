"""What one request came to, for the log and for whoever counts; of prompts it knows nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, cast

from starlette.requests import HTTPConnection

from serve_app.errors import RequestError
from serve_app.messages import GenerationParams
from serve_app.spent import Spent

UNKNOWN_ROUTE = "unknown"


@dataclass(slots=True)
class Observed:
    """One request, from its first byte to the last one of its answer; filled in on the way.

    Attributes:
        method: In capitals.
        route: The path as it was declared, so that there are as many of them as routes.
        status: Of the answer; None: none had begun when the client left.
        is_complete: Whether the last byte was sent.
        seconds: From begin to end.
        error: Why it failed.
        params: Of the pictures that were asked for, once that was understood.
        num_images: That were made.
        num_retries: How often one of its pictures was begun again, as a replica died.
        spent: Of the picture that took longest.
    """

    method: str
    route: str = UNKNOWN_ROUTE
    status: int | None = None
    is_complete: bool = False
    seconds: float = 0.0
    error: RequestError | None = None
    params: GenerationParams | None = None
    num_images: int = 0
    num_retries: int = 0
    spent: Spent | None = None

    @property
    def outcome(self) -> str:
        """The status, as far as the client has seen it: a cancelled request has none."""
        return str(self.status) if self.is_complete else "cancelled"

    @property
    def error_code(self) -> str:
        """The `code` of the error that was answered, also inside a stream; else nothing."""
        return "" if self.error is None else self.error.code


_current: ContextVar[Observed | None] = ContextVar("observed", default=None)


class Observer(Protocol):
    """Counts requests."""

    def begun(self) -> None:
        """Note that a request came."""

    def ended(self, observed: Observed) -> None:
        """Note what a request came to."""


class NoObserver:
    """Counts nothing."""

    def begun(self) -> None:
        """Do nothing."""

    def ended(self, observed: Observed) -> None:
        """Do nothing."""


def observed_of(request: HTTPConnection) -> Observed:
    """Return what is known of a request."""
    return cast(Observed, request.state.observed)


@contextmanager
def observing(observed: Observed) -> Iterator[None]:
    """Let whatever runs in the block, and the tasks it starts, know which request it is for."""
    token = _current.set(observed)
    try:
        yield
    finally:
        _current.reset(token)


def note_retry() -> None:
    """Note, from within a request, that one of its pictures is begun again."""
    observed = _current.get()
    if observed is not None:
        observed.num_retries += 1


def note_error(request: HTTPConnection, error: RequestError) -> None:
    """Note why a request failed."""
    observed_of(request).error = error
