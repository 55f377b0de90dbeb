"""What a deployment changes in its process, undone after each test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    logger = logging.getLogger("serve_app")
    before = logger.level
    yield
    logger.setLevel(before)
