"""A request names only what the operator lists, and only within the limits."""

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.lora_catalogue import MAX_LORAS, check_loras
from serve_app.messages import Lora

NAMES = {"ink", "watercolour"}


@pytest.mark.parametrize("scale", [-4, -0.5, 0, 1, 4.0])
def test_listed_adapters_within_the_limits(scale: float) -> None:
    check_loras([], NAMES)
    check_loras([Lora("ink", scale), Lora("watercolour"), Lora("ink")], NAMES)


@pytest.mark.parametrize("path", ["", "Ink", "ink ", "../ink", "/etc/passwd", "https://a/b", "x\n"])
def test_another_name(path: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_loras([Lora("ink"), Lora(path)], NAMES)
    assert refused.value.param == "loras[1].path"
    expected = f"Invalid value for 'loras[1].path': {path!r}. This server's LoRAs are: ink, water"
    assert refused.value.message.startswith(expected)


@pytest.mark.parametrize("scale", [4.01, -5, float("inf"), float("nan")])
def test_a_scale_out_of_range(scale: float) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_loras([Lora("ink", scale)], NAMES)
    assert refused.value.param == "loras[0].scale"
    expected = f"Invalid value for 'loras[0].scale': {scale:g}. It must be from -4 to 4."
    assert refused.value.message == expected


def test_too_many() -> None:
    check_loras([Lora("ink")] * MAX_LORAS, NAMES)
    with pytest.raises(InvalidRequestError, match=f"at most {MAX_LORAS} items") as refused:
        check_loras([Lora("ink")] * (MAX_LORAS + 1), NAMES)
    assert refused.value.param == "loras"


def test_a_message_stays_short() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_loras([Lora("x" * 10_000)], {f"lora-{index:03}" for index in range(1000)})
    assert len(refused.value.message) < 400
    assert refused.value.message.endswith("lora-015, ….")


def test_a_server_without_any() -> None:
    with pytest.raises(InvalidRequestError, match="This server has no LoRAs"):
        check_loras([Lora("ink")], ())
