"""A process of its own that sends one idempotent request: run with a URL and a request id."""

import asyncio
import sys

from serve_app.config import RecordsConfig
from serve_app.records.database import Database
from serve_app.records.idempotency import Claim, Idempotency, KeyedRequest, Mismatch
from serve_app.records.stored_answers import StoredAnswer


async def send(url: str, request_id: str) -> str:
    """Return `did` or `saw`, and the id of the request that was really done."""
    database = Database.open(RecordsConfig(url=url, timeout_s=60))
    kept = Idempotency(database)
    begun = await kept.begin(KeyedRequest("kr_aaaaaaaa", "order-1", "print", request_id))
    assert not isinstance(begun, Mismatch)
    if isinstance(begun, Claim):
        async with kept.held(begun):
            await asyncio.sleep(0.5)
            await kept.finish(begun, StoredAnswer(request_id, 200, (), b"picture"))
    await database.close()
    return f"did {request_id}" if isinstance(begun, Claim) else f"saw {begun.request_id}"


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(send(sys.argv[1], sys.argv[2])))
