"""Reads the history of requests. An organisation sees its own, and of no other that it exists."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, RowMapping, func, select

from serve_app.records.cursors import Cursor, Direction, Position, beyond, nearest_first
from serve_app.records.database import Database
from serve_app.records.rows import RequestRecord, Status
from serve_app.records.tables import requests


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """Which requests are meant.

    Attributes:
        organisation: Whose requests.
        created_after_ms: Those that came later.
        created_before_ms: Those that came earlier.
        key_id: Those of one key.
        status: Those that got so far.
    """

    organisation: str
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    key_id: str | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the history.

    Attributes:
        requests: The newest first.
        has_older: Whether there are more after the last one.
        has_newer: Whether there are more before the first one.
    """

    requests: tuple[RequestRecord, ...]
    has_older: bool
    has_newer: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """All that a filter leaves, taken together.

    Attributes:
        num_requests: How many.
        cost_micros: In millionths of a US dollar.
    """

    num_requests: int
    cost_micros: int


class History:
    """The requests in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, organisation: str, request_id: str) -> RequestRecord | None:
        """Return one request, or None where the organisation has none of that id.

        Raises:
            OverloadedError: The database did not answer.
        """
        query = select(requests).where(
            requests.c.organisation == organisation, requests.c.id == request_id
        )
        rows = await self._database.rows(query)
        return _as_record(rows[0]) if rows else None

    async def position(self, organisation: str, request_id: str) -> Position | None:
        """Return the place of a request, or None where the organisation has none of that id.

        Raises:
            OverloadedError: The database did not answer.
        """
        record = await self.get(organisation, request_id)
        return None if record is None else _position(record)

    async def page(self, chosen: HistoryFilter, limit: int, cursor: Cursor | None = None) -> Page:
        """Return the requests beside a cursor, or the newest ones.

        Raises:
            OverloadedError: The database did not answer.
        """
        direction: Direction = "older" if cursor is None else cursor.direction
        # One more than fits tells whether there are more.
        found = await self._nearest(chosen, direction, cursor, limit + 1)
        is_first = cursor is None or not found
        has_behind = not is_first and await self._has_behind(chosen, direction, found[0])
        has_ahead = len(found) > limit
        if direction == "older":
            return Page(tuple(found[:limit]), has_older=has_ahead, has_newer=has_behind)
        return Page(tuple(reversed(found[:limit])), has_older=has_behind, has_newer=has_ahead)

    async def summary(self, chosen: HistoryFilter) -> Summary:
        """Return the number and the cost of requests, of all pages.

        Raises:
            OverloadedError: The database did not answer.
        """
        cost_micros = func.coalesce(func.sum(requests.c.cost_micros), 0).label("cost_micros")
        query = select(func.count().label("num_requests"), cost_micros).select_from(requests)
        (row,) = await self._database.rows(query.where(*_conditions(chosen)))
        return Summary(row["num_requests"], int(row["cost_micros"]))

    async def _nearest(
        self, chosen: HistoryFilter, direction: Direction, cursor: Cursor | None, limit: int
    ) -> list[RequestRecord]:
        query = select(requests).where(*_conditions(chosen))
        if cursor is not None:
            query = query.where(beyond(cursor))
        query = query.order_by(*nearest_first(direction)).limit(limit)
        return [_as_record(row) for row in await self._database.rows(query)]

    async def _has_behind(
        self, chosen: HistoryFilter, direction: Direction, nearest: RequestRecord
    ) -> bool:
        """Whether there is something between a page's first request and where its reader was."""
        back = Cursor(_position(nearest), "newer" if direction == "older" else "older")
        return bool(await self._nearest(chosen, back.direction, back, 1))


def _conditions(chosen: HistoryFilter) -> Iterator[ColumnElement[bool]]:
    yield requests.c.organisation == chosen.organisation
    if chosen.created_after_ms is not None:
        yield requests.c.created_at_ms > chosen.created_after_ms
    if chosen.created_before_ms is not None:
        yield requests.c.created_at_ms < chosen.created_before_ms
    if chosen.key_id is not None:
        yield requests.c.key_id == chosen.key_id
    if chosen.status is not None:
        yield requests.c.status == chosen.status


def _as_record(row: RowMapping) -> RequestRecord:
    return RequestRecord(**row)


def _position(record: RequestRecord) -> Position:
    return Position(record.created_at_ms, record.id)
