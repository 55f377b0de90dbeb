"""What a picture's time went into, in the words of W3C's `Server-Timing`."""

from collections.abc import Sequence

from serve_app.messages import WrittenImage
from serve_app.spent import Spent


def longest(images: Sequence[WrittenImage]) -> Spent:
    """Return what the picture took that took longest: the others were made beside it."""
    return max((image.spent for image in images), key=lambda spent: spent.total_s)


def server_timing(spent: Spent) -> str:
    """Return the header's value: `queue;dur=1.5, denoise;dur=1200.3`, in milliseconds."""
    stages = spent.milliseconds.items()
    return ", ".join(
        f"{name.replace('_', '-')};dur={milliseconds:.10g}" for name, milliseconds in stages
    )
