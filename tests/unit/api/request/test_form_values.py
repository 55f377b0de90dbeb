"""The text of a form is read as the number or boolean that its field wants, and not otherwise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.bodies.uploaded_file import UploadedFile
from serve_app.api.parameters import image_parameters
from serve_app.api.request.fields import read_fields
from serve_app.api.request.form_values import json_fields, json_value
from serve_app.api.values.kinds import Choice, Flag, Integer, Number, Text
from serve_app.api.values.size_grammar import ImageSize, Megapixels, Resolution, Side
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError
from serve_app.messages import Lora

TABLE = image_parameters(ApiConfig())
INTEGER, NUMBER, FLAG = Integer(0, 100), Number(0, 100), Flag()


def values(**fields: Any) -> Any:
    """Return what the table reads in a form."""
    return read_fields(json_fields({"prompt": "x", **fields}, TABLE), TABLE).values


@given(st.integers())
def test_integers(number: int) -> None:
    assert json_value(INTEGER, str(number)) == number
    assert json_value(Side(2048), f"{number:+}") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers(number: float) -> None:
    assert json_value(NUMBER, repr(number)) == number


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("+.5", 0.5), ("3.50", 3.5), ("1e2", 100), ("-2E-1", -0.2)]
)
def test_ways_to_write_a_number(text: str, number: float) -> None:
    assert json_value(NUMBER, text) == number


@pytest.mark.parametrize("text", ["true", "TRUE", "True", "1"])
def test_true(text: str) -> None:
    assert json_value(FLAG, text) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "False", "0"])
def test_false(text: str) -> None:
    assert json_value(FLAG, text) is False


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (INTEGER, "2.0"),
        (INTEGER, "1e2"),
        (INTEGER, " 1"),
        (INTEGER, "1\n"),
        (INTEGER, "1_0"),
        (INTEGER, "0x1"),
        (INTEGER, "--1"),
        (INTEGER, "\u0661"),
        (INTEGER, "two"),
        (INTEGER, "true"),
        (INTEGER, "9" * 5000),
        (NUMBER, "nan"),
        (NUMBER, "inf"),
        (NUMBER, "-Infinity"),
        (NUMBER, "1e999"),
        (NUMBER, "9" * 5000),
        (NUMBER, "1."),
        (NUMBER, "."),
        (NUMBER, "1,5"),
        (NUMBER, "1_0"),
        (NUMBER, " 1"),
        (NUMBER, "\uff11"),
        (FLAG, "yes"),
        (FLAG, "2"),
        (FLAG, "t"),
        (FLAG, " true"),
        (FLAG, "fal\u017fe"),
    ],
)
def test_other_text_stays_text_and_is_refused(kind: Any, text: str) -> None:
    assert json_value(kind, text) == text
    with pytest.raises(InvalidRequestError, match="Invalid type for 'field'"):
        kind.read("field", json_value(kind, text))


@pytest.mark.parametrize("kind", [Text(9), Choice(("1",)), Resolution(), Megapixels()])
def test_what_is_text_in_json_stays_text(kind: Any) -> None:
    assert json_value(kind, "1") == "1"


@pytest.mark.parametrize("kind", [INTEGER, NUMBER, FLAG, ImageSize(2048)])
@pytest.mark.parametrize("value", [UploadedFile("a", b"1"), ["1"], {"a": ["1"]}])
def test_what_is_not_text_stays_itself(kind: Any, value: object) -> None:
    assert json_value(kind, value) == value


def test_a_form_is_read_like_the_json_that_says_the_same() -> None:
    form = values(
        n="2",
        seed="7",
        strength="0.5",
        guidance="3.5",
        go_fast="TRUE",
        image_size={"width": "640"},
        megapixels="1",
        resolution="1",
        output_format="webp",
        stream="0",
    )
    body = {
        "prompt": "x",
        "n": 2,
        "seed": 7,
        "strength": 0.5,
        "guidance": 3.5,
        "go_fast": True,
        "image_size": {"width": 640},
        "megapixels": 1,
        "resolution": 1,
        "output_format": "webp",
        "stream": False,
    }
    assert form == read_fields(body, TABLE).values


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", "two"),
        ("n", ["2"]),
        ("num_images", "11"),
        ("go_fast", "maybe"),
        ("strength", "2"),
        ("image_size", {"width": "many"}),
        ("image_size", {"width": "9" * 5000}),
        ("width", "1.5"),
        ("prompt", UploadedFile("a", b"1")),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        values(**{field: value})
    assert refused.value.param == field
    assert len(refused.value.message) < 300


def test_adapters_come_as_the_text_of_their_json() -> None:
    form = values(loras='[{"path": "ink", "scale": 0.5}, {"path": "wool"}]')
    assert form["loras"] == (Lora("ink", 0.5), Lora("wool"))


@pytest.mark.parametrize("text", ["ink", "[{", '{"path": "ink"}', "[" * 100_000])
def test_text_that_is_no_list_of_adapters_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        values(loras=text)
    assert refused.value.param == "loras"


def test_unknown_fields_pass_as_they_are() -> None:
    assert json_fields({"quality": "1"}, TABLE) == {"quality": "1"}


def test_json_stays_strict() -> None:
    for field, value in (("n", "2"), ("go_fast", "true"), ("strength", "0.5")):
        with pytest.raises(InvalidRequestError):
            read_fields({"prompt": "x", field: value}, TABLE)
