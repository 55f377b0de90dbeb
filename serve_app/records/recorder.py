"""Writes the history, without a request ever waiting for the database to come back.

What is to be written waits in memory, in order, and one task writes it in batches, so that a second
time changes nothing: a batch that failed is tried again whole. What a process that dies still has
in memory is lost; a spool on disk would take the place of the queue.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter

from sqlalchemy.dialects import sqlite

from serve_app.errors import OverloadedError
from serve_app.records.database import Database, Rows
from serve_app.records.rows import Admission, KeptImage, Outcome
from serve_app.records.tables import images, requests

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # requests; some 10 MB
MAX_BATCH = 100
RETRY_S = 0.5
# A client that reads the history after its answer finds itself in it, unless the database is slow.
MAX_WAIT_S = 1.0
CLOSE_TIMEOUT_S = 5.0

OUTCOME_COLUMNS = (
    "status",
    "cost_micros",
    "duration_ms",
    "response_size_bytes",
    "error_code",
    "error_message",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be written.

    Attributes:
        admission: Of the request.
        outcome: Its outcome, once there is one.
        written: Is done when it has been written, or given up.
    """

    admission: Admission
    outcome: Outcome | None
    written: "asyncio.Future[None]"


class Recorder:
    """The way into the history.

    Attributes:
        num_lost: Events that are not in the database and never will be.
    """

    def __init__(self, database: Database) -> None:
        self.num_lost = 0
        self._database = database
        self._begin, self._end, self._keep = _inserts(database)
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)
        self._writer: asyncio.Task[None] | None = None
        self._is_failing = False

    @property
    def num_waiting(self) -> int:
        """Events that wait to be written."""
        return self._waiting.qsize()

    @property
    def is_failing(self) -> bool:
        """Whether the database did not take what was to be written last, or not in time."""
        return self._is_failing

    def admit(self, admission: Admission) -> None:
        """Note that a request was let in; returns at once."""
        self._put(admission, None)

    async def finish(self, admission: Admission, outcome: Outcome) -> None:
        """Note what became of a request; the first outcome of a request stands.

        The note is safe from the first moment, whether or not the caller is cancelled meanwhile.
        """
        written = self._put(admission, outcome)
        if self._is_failing:
            return
        done, _ = await asyncio.wait([written], timeout=MAX_WAIT_S)
        if not done:
            # One that stands still says nothing for long: nobody else shall wait for it.
            self._is_failing = True

    async def close(self) -> None:
        """Write what waits, if the database takes it within seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._waiting.join()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])

    def _put(self, admission: Admission, outcome: Outcome | None) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        event = Event(admission, outcome, loop.create_future())
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            self._lose(event)
        if self._writer is None:
            self._writer = loop.create_task(self._write_forever())
        return event.written

    async def _write_forever(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            await self._write_until_done(batch)
            for _ in batch:
                self._waiting.task_done()

    async def _write_until_done(self, batch: list[Event]) -> None:
        while True:
            if await self._write(batch):
                return
            await asyncio.sleep(RETRY_S)

    async def _write(self, batch: list[Event]) -> bool:
        """Write some events and return whether they need not be tried again."""
        try:
            await self._database.change(*self._rows(batch))
        except OverloadedError:
            self._is_failing = True
            return False
        except Exception:
            logger.exception("the history refused %d events", len(batch))
            return await self._write_one_by_one(batch)
        self._is_failing = False
        for event in batch:
            _mark_done(event)
        return True

    async def _write_one_by_one(self, batch: list[Event]) -> bool:
        """Write the events of a batch of which one is bad."""
        if len(batch) == 1:
            self._lose(batch[0])
            return True
        return all([await self._write([event]) for event in batch if not event.written.done()])

    def _rows(self, batch: list[Event]) -> Iterator[Rows]:
        """Yield what writes some events, in their order; done twice it changes no more."""
        written = (written for event in batch for written in self._written(event))
        for insert, rows in groupby(written, key=itemgetter(0)):
            yield Rows(insert, [row for _, row in rows])

    def _written(self, event: Event) -> Iterator[tuple[sqlite.Insert, dict[str, object]]]:
        row = _row(event.admission, event.outcome)
        if event.outcome is None:
            yield self._begin, row
            return
        yield self._end, row
        for image in event.outcome.images:
            yield self._keep, _image_row(event.admission, image)

    def _lose(self, event: Event) -> None:
        self.num_lost += 1
        request_id, usage_event_id = event.admission.request_id, event.admission.usage_event_id
        logger.error("the history lost request %s (%s)", request_id, usage_event_id)
        _mark_done(event)


def _inserts(database: Database) -> tuple[sqlite.Insert, sqlite.Insert, sqlite.Insert]:
    """Return what begins a request, what ends one, and what keeps a picture."""
    begin, keep = (database.insert(table).on_conflict_do_nothing() for table in (requests, images))
    end = database.insert(requests)
    end = end.on_conflict_do_update(
        index_elements=[requests.c.id],
        set_={name: end.excluded[name] for name in OUTCOME_COLUMNS},
        where=requests.c.duration_ms.is_(None),
    )
    return begin, end, keep


def _mark_done(event: Event) -> None:
    if not event.written.done():
        event.written.set_result(None)


def _row(admission: Admission, outcome: Outcome | None) -> dict[str, object]:
    row = asdict(admission)
    row["id"] = row.pop("request_id")
    if outcome is None:
        return {**row, "status": "processing", "cost_micros": 0}
    return {**row, **{name: getattr(outcome, name) for name in OUTCOME_COLUMNS}}


def _image_row(admission: Admission, image: KeptImage) -> dict[str, object]:
    return {**asdict(image), "request_id": admission.request_id}
