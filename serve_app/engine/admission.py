"""Whether a job that comes now can end in time: refused now is better than timed out later.

Pure Python: no torch, no clock, no thread.
"""

from math import ceil

from serve_app.errors import DeadlineExceededError, OverloadedError

MAX_RETRY_S = 30  # as the API promises for a 503


def check_in_time(solo_s: float, ahead_s: float, left_s: float, must_wait_s: float) -> None:
    """Raise if a job cannot end in time, or others could not because of it.

    Args:
        solo_s: Predicted seconds of the job, if it runs alone.
        ahead_s: Of the work that goes before it.
        left_s: Until it has to end.
        must_wait_s: How long it has to stay out for those that were accepted.

    Raises:
        DeadlineExceededError: Not even alone.
        OverloadedError: Not behind what is there already, or that could not; enough of it is gone
            after `retry_after_s`, or in `MAX_RETRY_S` if that is less.
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
    if must_wait_s > 0:
        raise OverloadedError(
            "With the picture, those that were accepted could not all be denoised in time:"
            f" that takes about {_seconds(must_wait_s)} without it.",
            retry_after_s=min(ceil(must_wait_s), MAX_RETRY_S),
            reason="deadline",
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} seconds"
