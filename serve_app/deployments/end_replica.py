"""How a replica that is broken ends."""

import logging
import os

logger = logging.getLogger(__name__)


def end_replica(reason: str) -> None:
    """End this process at once: what ran here is run again elsewhere, and Serve starts another.

    A replica that fails or stands still but lives on draws requests: it has the least to do. To
    be replaced it would have to fail several checks, and then Serve would wait for its requests.
    """
    logger.critical("this replica ends itself: %s", reason)
    os._exit(1)
