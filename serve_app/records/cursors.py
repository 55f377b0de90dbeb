"""Places in the history, and the pages on either side of them.

A place is a request, not a number of rows: what comes in meanwhile moves no page.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, UnaryExpression, tuple_

from serve_app.records.tables import requests

Direction = Literal["older", "newer"]

# Requests of the same millisecond have an order too.
_PLACE = (requests.c.created_at_ms, requests.c.id)


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a request.

    Attributes:
        created_at_ms: When it came.
        request_id: Which one it is.
    """

    created_at_ms: int
    request_id: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins.

    Attributes:
        position: The request next to it, which is not on it.
        direction: On which side of that the page lies: `starting_after` is `older`, since the
            newest comes first, and `ending_before` is `newer`.
    """

    position: Position
    direction: Direction


def beyond(cursor: Cursor) -> ColumnElement[bool]:
    """Return the condition for a request to lie on a cursor's side of it."""
    place = tuple_(*_PLACE)
    position = tuple_(cursor.position.created_at_ms, cursor.position.request_id)
    return place < position if cursor.direction == "older" else place > position


def nearest_first(direction: Direction) -> tuple[UnaryExpression[Any], ...]:
    """Return the order in which a cursor meets the requests on its way."""
    return tuple(column.desc() if direction == "older" else column.asc() for column in _PLACE)
