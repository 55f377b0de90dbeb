"""What is typed for a plan, as values: an error names the field, the rule and the value."""

import re
from math import isfinite

from serve_app.errors import ConfigError
from serve_app.messages import Size
from serve_app.planning.machine import MACHINES, Machine
from serve_app.planning.traffic import Kind, Mix

KIND = re.compile(r"(\d+)x(\d+)/(\d+)(?:\*(\d+))?(?:=([\d.]+))?")
MAX_SIDE_PX, SIDE_MULTIPLE_PX = 4096, 16
MAX_STEPS, MAX_IMAGES = 100, 10
MAX_RATE = 100_000.0


def rate_of(value: float) -> float:
    """Return a rate of requests per second.

    Raises:
        ConfigError: It is none.
    """
    if not 0 < value <= MAX_RATE:
        raise ConfigError(f"rps: must be over 0 and at most {MAX_RATE:.0f}, got {value:g}")
    return value


def seconds_of(text: str) -> float:
    """Return the seconds of `15` or `15s`.

    Raises:
        ConfigError: They are none, or not over 0.
    """
    try:
        seconds = float(text.strip().removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds > 0):
        raise ConfigError(f"slo: must be seconds over 0, such as 15s, got {text!r}")
    return seconds


def machine_of(name: str) -> Machine:
    """Return a machine by name.

    Raises:
        ConfigError: Nothing is known of it.
    """
    if name.lower() not in MACHINES:
        raise ConfigError(f"gpu: must be one of {', '.join(MACHINES)}, got {name!r}")
    return MACHINES[name.lower()]


def mix_of(text: str) -> Mix:
    """Return the kinds of `WIDTHxHEIGHT/STEPS[*IMAGES][=WEIGHT],…`.

    Raises:
        ConfigError: One of them is not so, or out of range.
    """
    mix: dict[Kind, float] = {}
    for part in text.split(","):
        kind, weight = _kind(part.strip())
        mix[kind] = mix.get(kind, 0.0) + weight
    return mix


def _kind(text: str) -> tuple[Kind, float]:
    found = KIND.fullmatch(text)
    if found is None:
        raise ConfigError(f"mix: each part must be like 1024x1024/28*2=0.5, got {text!r}")
    width, height, num_steps, num_images = (int(number or 1) for number in found.groups()[:4])
    for side in (width, height):
        if not 0 < side <= MAX_SIDE_PX or side % SIDE_MULTIPLE_PX:
            raise ConfigError(
                f"mix: a side must be a multiple of {SIDE_MULTIPLE_PX} up to {MAX_SIDE_PX},"
                f" got {text!r}"
            )
    if not 1 <= num_steps <= MAX_STEPS or not 1 <= num_images <= MAX_IMAGES:
        raise ConfigError(
            f"mix: steps must be 1 to {MAX_STEPS} and images 1 to {MAX_IMAGES}, got {text!r}"
        )
    try:
        weight = float(found[5] or 1)
    except ValueError:
        weight = 0.0
    if weight <= 0:
        raise ConfigError(f"mix: a weight must be a number over 0, got {text!r}")
    return Kind(Size(width, height), num_steps, num_images), weight
