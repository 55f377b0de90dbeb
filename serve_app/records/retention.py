"""Ends what is recorded: pictures at a client's wish, the rest when it is old enough."""

from sqlalchemy import Delete, delete, select, tuple_, update

from serve_app.records.database import Database
from serve_app.records.tables import idempotency, images, requests

# So many rows are gone in milliseconds, and then it is another writer's turn.
NUM_PRUNED_AT_ONCE = 1000
NUM_ANSWERS_PRUNED_AT_ONCE = 10  # each up to 128 MB


class Retention:
    """Deletes what the database no longer needs to hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def images_of(self, request_id: str) -> tuple[str, ...]:
        """Return the names of a request's pictures in the image store.

        Raises:
            OverloadedError: The database did not answer.
        """
        names = select(images.c.object_name).where(images.c.request_id == request_id)
        return tuple(row["object_name"] for row in await self._database.rows(names))

    async def forget_payloads(self, request_id: str) -> None:
        """Delete what leads to a request's pictures, and the answer kept for a repetition.

        Raises:
            OverloadedError: The database did not take it.
        """
        is_answered = idempotency.c.status_code.is_not(None)
        answer = delete(idempotency).where(idempotency.c.request_id == request_id, is_answered)
        pictures = delete(images).where(images.c.request_id == request_id)
        await self._database.change(pictures, answer)

    async def give_up(self, created_before_ms: int) -> int:
        """Call failed what never ended, for its process died; return how many requests that were.

        Should an outcome turn up after all, it is still recorded.

        Raises:
            OverloadedError: The database did not take it.
        """
        is_stale = requests.c.created_at_ms < created_before_ms
        query = update(requests).where(is_stale, requests.c.status == "processing")
        return await self._database.change(query.values(status="upstream_failure"))

    async def prune(self, created_before_ms: int) -> int:
        """Delete requests from the history and return how many that were.

        Raises:
            OverloadedError: The database did not take it.
        """
        is_old = requests.c.created_at_ms < created_before_ms
        some = select(requests.c.id).where(is_old).limit(NUM_PRUNED_AT_ONCE)
        return await self._delete_all(delete(requests).where(requests.c.id.in_(some)))

    async def prune_answers(self, now_ms: int) -> int:
        """Delete idempotent answers that are kept no longer and return how many that were.

        Raises:
            OverloadedError: The database did not take it.
        """
        row = tuple_(*idempotency.primary_key)
        is_over = idempotency.c.held_until_ms <= now_ms
        some = select(*idempotency.primary_key).where(is_over).limit(NUM_ANSWERS_PRUNED_AT_ONCE)
        return await self._delete_all(delete(idempotency).where(row.in_(some), is_over))

    async def _delete_all(self, some: Delete) -> int:
        """Repeat a deletion until it finds nothing more."""
        num_deleted = 0
        while num_deleted_now := await self._database.change(some):
            num_deleted += num_deleted_now
        return num_deleted
