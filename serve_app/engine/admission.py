"""Whether a job that comes now can end in time: refused now is better than timed out later.

Pure Python: no torch, no clock, no thread.
"""

from math import ceil

from serve_app.errors import NOT_IN_TIME, DeadlineExceededError, OverloadedError

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
            reason=NOT_IN_TIME,
        )


def check_others_in_time(must_wait_s: float) -> None:
    """Raise if others that were accepted could not end in time because of a job.

    Args:
        must_wait_s: How long it has to stay out for them, in seconds; 0: it need not.

    Raises:
        OverloadedError: They could not; it may come back when they are done, or in `MAX_RETRY_S` if
            that is less.
    """
    if must_wait_s > 0:
        raise OverloadedError(
            "With the picture, those that were accepted could not all be denoised in time:"
            f" that takes about {_seconds(must_wait_s)} without it.",
            retry_after_s=min(ceil(must_wait_s), MAX_RETRY_S),
            reason=NOT_IN_TIME,
        )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} seconds"
