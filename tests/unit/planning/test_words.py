"""What is typed becomes values, or one line that names field, rule and value."""

from collections.abc import Callable

import pytest

from serve_app.errors import ConfigError
from serve_app.messages import Size
from serve_app.planning.traffic import Kind
from serve_app.planning.words import machine_of, mix_of, rate_of, seconds_of


def test_a_mix_names_sizes_steps_images_and_weights() -> None:
    assert mix_of("1024x1024/28=3, 512x768/8*4") == {
        Kind(Size(1024, 1024), 28): 3.0,
        Kind(Size(512, 768), 8, 4): 1.0,
    }


def test_a_kind_that_is_named_twice_weighs_both() -> None:
    assert mix_of("512x512/8=1,512x512/8=2") == {Kind(Size(512, 512), 8): 3.0}


@pytest.mark.parametrize(("text", "seconds"), [("15", 15.0), ("15s", 15.0), (" 2.5s ", 2.5)])
def test_seconds_may_say_so(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("parse", "value", "said"),
    [
        (rate_of, 0.0, "rps: must be over 0"),
        (rate_of, float("nan"), "got nan"),
        (seconds_of, "soon", "slo: must be seconds over 0, such as 15s, got 'soon'"),
        (seconds_of, "-1s", "got '-1s'"),
        (seconds_of, "inf", "got 'inf'"),
        (machine_of, "abacus", "gpu: must be one of h200, h100, got 'abacus'"),
        (mix_of, "large", "mix: each part must be like 1024x1024/28*2=0.5, got 'large'"),
        (mix_of, "1024x1024/28,", "got ''"),
        (mix_of, "1000x1024/28", "mix: a side must be a multiple of 16 up to 4096"),
        (mix_of, "1024x1024/0", "mix: steps must be 1 to 100"),
        (mix_of, "1024x1024/28*11", "images 1 to 10, got '1024x1024/28*11'"),
        (mix_of, "1024x1024/28=0", "mix: a weight must be a number over 0"),
        (mix_of, "1024x1024/28=1.2.3", "mix: a weight must be a number over 0"),
    ],
)
def test_what_is_wrong_is_named(
    parse: Callable[[object], object], value: object, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(value)
    assert said in refused.value.message
    assert "\n" not in refused.value.message
