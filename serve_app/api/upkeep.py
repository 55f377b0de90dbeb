"""What an ingress does beside its requests, from its start to its end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve_app.errors import OverloadedError
from serve_app.records.records import Records

SWEEP_PERIOD_S = 300.0

logger = logging.getLogger(__name__)


@asynccontextmanager
async def kept_tidy(records: Records, period_s: float = SWEEP_PERIOD_S) -> AsyncIterator[None]:
    """Delete what is recorded too long, again and again; at the end, write what still waits."""
    sweeper = asyncio.create_task(_sweep_forever(records, period_s))
    try:
        yield
    finally:
        sweeper.cancel()
        await asyncio.wait([sweeper])
        await records.close()


async def _sweep_forever(records: Records, period_s: float) -> None:
    while True:
        try:
            await records.sweep(time.time())
        except OverloadedError:
            # Tried again in a while; nothing but space is lost meanwhile.
            logger.warning("the records could not be swept: the database is away")
        except Exception:
            logger.exception("the records could not be swept")
        await asyncio.sleep(period_s)
