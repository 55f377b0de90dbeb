"""Our lines go where Serve's go, from its level up, under our request id."""

import logging
from collections.abc import Iterator

import pytest
from ray.serve.context import _get_serve_request_context, _serve_request_context

from serve_app.deployments.logs import (
    OUR_LOGGER,
    SERVE_LOGGER,
    ServeLog,
    log_through_serve,
    name_request,
    set_log_level,
)


class Kept(logging.Handler):
    """Keeps the messages it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, level = Kept(), SERVE_LOGGER.level
    handlers, our_level = list(OUR_LOGGER.handlers), OUR_LOGGER.level
    OUR_LOGGER.handlers.clear()
    SERVE_LOGGER.addHandler(handler)
    yield handler
    SERVE_LOGGER.removeHandler(handler)
    SERVE_LOGGER.setLevel(level)
    OUR_LOGGER.handlers[:] = handlers
    OUR_LOGGER.setLevel(our_level)


def test_serve_s_level_decides_line_by_line(kept: Kept) -> None:
    OUR_LOGGER.addHandler(ServeLog())
    set_log_level(None)
    logger = logging.getLogger("serve_app.access")
    for level in (logging.INFO, logging.WARNING):
        SERVE_LOGGER.setLevel(level)
        logger.debug("debug from %d", level)
        logger.info("info from %d", level)
        logger.warning("warning from %d", level)
    assert kept.messages == ["info from 20", "warning from 20", "warning from 30"]


def test_a_level_of_our_own_outranks_serve_s(kept: Kept) -> None:
    OUR_LOGGER.addHandler(ServeLog())
    SERVE_LOGGER.setLevel(logging.INFO)
    logger = logging.getLogger("serve_app.access")
    for level in ("DEBUG", "WARNING", None):
        set_log_level(level)
        logger.debug("debug at %s", level)
        logger.info("info at %s", level)
    assert kept.messages == ["debug at DEBUG", "info at DEBUG", "info at None"]


def test_serve_calls_a_request_by_our_name() -> None:
    before = _get_serve_request_context()
    token = _serve_request_context.set(before)
    name_request("req_1")
    assert _get_serve_request_context().request_id == "req_1"
    assert _get_serve_request_context().route == before.route
    _serve_request_context.reset(token)


def test_outside_of_a_replica_logging_is_left_alone() -> None:
    before = (list(OUR_LOGGER.handlers), OUR_LOGGER.level)
    log_through_serve()
    assert (OUR_LOGGER.handlers, OUR_LOGGER.level) == before
