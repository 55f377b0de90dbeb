"""What is limited, and by how much."""

from collections.abc import Mapping
from enum import StrEnum

from serve_app.config import LimitsConfig
from serve_app.limits.clock import NS_PER_S

WINDOW_NS = 60 * NS_PER_S


class Meter(StrEnum):
    """What a caller may use up: by the minute, but for the last; named as in the headers."""

    REQUESTS = "requests"
    IMAGES = "images"
    CONCURRENT_REQUESTS = "concurrent-requests"


Amounts = Mapping[Meter, int]

PER_MINUTE = (Meter.REQUESTS, Meter.IMAGES)


def limits_of(config: LimitsConfig) -> dict[Meter, int]:
    """Return the limits that there are."""
    limits = {
        Meter.REQUESTS: config.requests_per_minute,
        Meter.IMAGES: config.images_per_minute,
        Meter.CONCURRENT_REQUESTS: config.max_concurrent_requests,
    }
    return {meter: limit for meter, limit in limits.items() if limit is not None}


def amounts_of(num_images: int) -> dict[Meter, int]:
    """Return what one request uses up."""
    return {Meter.REQUESTS: 1, Meter.IMAGES: num_images, Meter.CONCURRENT_REQUESTS: 1}
