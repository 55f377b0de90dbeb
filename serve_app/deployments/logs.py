"""Our log lines among Serve's: into its files, in its encoding, under one request id."""

import logging
from contextlib import suppress
from dataclasses import replace

from ray import serve
from ray.serve.context import _get_serve_request_context, _serve_request_context
from ray.serve.exceptions import RayServeException

from serve_app.tracing import trace_id

SERVE_LOGGER = logging.getLogger("ray.serve")
OUR_LOGGER = logging.getLogger("serve_app")


class ServeLog(logging.Handler):
    """Hands records to Serve's logger, which alone has handlers in a replica.

    Its encoding, its level and the context of a request may change while a replica runs, so they
    are not copied but asked for, line by line.

    Attributes:
        follows_serve: Whether Serve's level counts, and not our own logger's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.follows_serve = True

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record over."""
        if self.follows_serve and not SERVE_LOGGER.isEnabledFor(record.levelno):
            return
        current = trace_id()
        if current is not None:
            record.trace_id = current
        SERVE_LOGGER.handle(record)


def log_through_serve() -> None:
    """Send what a replica logs of ours to Serve's logger; outside of one, change nothing."""
    with suppress(RayServeException):
        serve.get_replica_context()
        OUR_LOGGER.addHandler(ServeLog())
        set_log_level(None)


def set_log_level(level: str | None) -> None:
    """Let this process log what is as grave as `level`, such as `INFO`; None: as Serve does."""
    OUR_LOGGER.setLevel(level or logging.DEBUG)
    for handler in OUR_LOGGER.handlers:
        if isinstance(handler, ServeLog):
            handler.follows_serve = level is None


def name_request(request_id: str) -> None:
    """Give the request that is handled here our id in the log, and in that of every stage it calls.

    Serve's own is `x-request-id`, which a client may choose; two requests may have the same.
    """
    context = _get_serve_request_context()
    _serve_request_context.set(replace(context, request_id=request_id))
