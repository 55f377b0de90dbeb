"""Whether a job that comes now can end in time: refused now is better than timed out later.

Pure Python: no torch, no clock, no thread.
"""

from math import ceil

from serve_app.errors import DeadlineExceededError, OverloadedError

MAX_RETRY_S = 30  # as the API promises for a 503


def check_in_time(solo_s: float, ahead_s: float, left_s: float) -> None:
    """Raise if a job cannot end in time.

    Args:
        solo_s: Predicted seconds of the job, if it runs alone.
        ahead_s: Of the work that goes before it.
        left_s: Until it has to end.

    Raises:
        DeadlineExceededError: Not even alone.
        OverloadedError: Not behind what is there already; so much of that is gone after
            `retry_after_s`, or in `MAX_RETRY_S` if that is less.
    """
    if solo_s > left_s:
        raise DeadlineExceededError(
            f"The picture takes about {_seconds(solo_s)} to denoise,"
            f" and its request has {_seconds(max(left_s, 0.0))} left."
        )
    late_s = ahead_s + solo_s - left_s
    if late_s > 0:
        raise OverloadedError(
            f"The picture would be denoised in about {_seconds(ahead_s + solo_s)},"
            f" and its request has {_seconds(left_s)} left.",
            retry_after_s=min(ceil(late_s), MAX_RETRY_S),
            reason="deadline",
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} seconds"
