"""What a type says in JSON Schema is what it reads, neither more nor less."""

from fractions import Fraction
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.api.input_images.field import ImageField
from serve_app.api.values.kinds import Anything, Choice, Flag, Integer, Number, Text, ValueType
from serve_app.api.values.size_grammar import (
    AspectRatio,
    ImageSize,
    Megapixels,
    PixelsOrRatio,
    Resolution,
    Side,
)
from serve_app.errors import InvalidRequestError

FORMATS = Choice(("png", "jpeg"), synonyms={"jpg": "jpeg"}, is_any_case=True)

# Every character that `str.strip` takes off, some that look like it, and NUL.
BLANKS = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_BLANKS = "\u180e\u200b\u2060\ufeff\0x"

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def is_read(kind: ValueType, value: object) -> bool:
    try:
        kind.read("field", value)
    except InvalidRequestError:
        return False
    return True


def is_in_schema(kind: ValueType, value: object) -> bool:
    return jsonschema_rs.Draft202012Validator(kind.schema()).is_valid(value)


def agrees(kind: ValueType, value: object) -> bool:
    return is_read(kind, value) == is_in_schema(kind, value)


TYPES = [
    Integer(0, 2**63 - 1),
    Number(0, 20),
    Flag(),
    Text(4),
    Text(4, is_blank_allowed=False),
    Choice(("url", "b64_json")),
    FORMATS,
    Anything(),
    Side(2048),
    PixelsOrRatio(2048),
    AspectRatio(),
    Resolution(),
    Megapixels(),
    ImageSize(2048),
    ImageField("image"),
]


@pytest.mark.parametrize("kind", TYPES, ids=repr)
def test_any_json_is_read_if_the_schema_has_it(kind: ValueType) -> None:
    validator = jsonschema_rs.Draft202012Validator(kind.schema())

    # To the fields, null is no value.
    @settings(deadline=None)
    @given(JSON.filter(lambda value: value is not None))
    def check(value: object) -> None:
        assert is_read(kind, value) == validator.is_valid(value)

    check()


@pytest.mark.parametrize(
    ("kind", "read", "refused"),
    [
        (Integer(1, 10), [1, 10, 2.0], [0, 11, 1.5, "1", True, None, [], 1e30]),
        (Integer(0, 2**63 - 1), [2**63 - 1, 0, -0.0], [2**63, -1, 10**39]),
        (Number(0, 20), [0, 20, 4.5, -0.0], [-0.1, 20.1, "4", False, 10**39]),
        (Flag(), [True, False], [0, 1, "true", None]),
        (Text(3), ["", "abc", "\n", "\U0001f600" * 3], ["abcd", "a\0", 5, None]),
        (Text(3, is_blank_allowed=False), ["a", " a ", "\na\n"], ["", " ", "\t\n", "a\0", "abcd"]),
        (Choice(("url", "b64_json")), ["url"], ["URL", "", 1, "url\n", "jpg"]),
        (FORMATS, ["png", "PNG", "Jpg", "jPEG"], ["bmp", "png ", "png\n", "", None, 1]),
        (Choice(("krea",), is_any_case=True), ["KREA"], ["\u212area"]),
        (Side(2048), [1, 2048, 512.0], [0, 2049, 14142, "512", 512.5]),
        (Side(20000), [14142], [14143]),
        (
            PixelsOrRatio(2048),
            ["1x1", "2048x2048", "01024x0768", " 16 × 9\t", "16*9", "1920:1080", "2.39:1", "AUTO"],  # noqa: RUF001
            ["0x1", "1x0", "2049x1", "1x2049", "0:1", "0.0:1", "1:", "1x", "16x9x1", "16x9\n", "a"],
        ),
        (PixelsOrRatio(2048), ["0" * 25 + "1x1", "9" * 30 + ":1"], ["0" * 26 + "1x1", "9" * 99]),
        (
            AspectRatio(),
            ["16:9", " 0.5 : 1 ", "auto", "Match_Input_Image", "00.10:00.01"],
            ["16x9", "16/9", "0:1", "1:0.000", "-1:1", ".5:1", "1.:1", "1:1\n", 1, "\u0661:1"],
        ),
        (
            Resolution(),
            ["1K", "0.5k", "2 mp", "720P", " 1 ", "auto", 1, 0.25, 5e-324, 5_000_000.0, 10**39],
            ["0K", "0", "", "K", "big", "1KK", "1\u212a", 0, -1, True, ["1K"], "1e3", "1K\n"],
        ),
        (
            Megapixels(),
            ["0.25", " 1 ", 1, 1.0, 0.25],
            ["0.5", "1.0", "00.25", 0.25000001, 1.0000001, 2, True, "1\n", None],
        ),
        (
            ImageSize(2048),
            ["square_hd", {}, {"width": 640, "height": None}, {"width": 1, "depth": "x"}],
            ["Square", "", {"width": 0}, {"height": 2049}, {"width": "1"}, [1, 2], 5, None],
        ),
        (
            ImageField("image"),
            [
                "https://a.test/1",
                "HTTP://a",
                "data:",
                "DATA:x\n",
                {"image_url": "http://a", "x": 1},
                {"image_url": "http://a", "file_id": None},
                [],
                [None],
                [None, "http://a", None],
                [{"image_url": "data:,"}],
            ],
            [
                "ftp://a",
                " http://a",
                "",
                5,
                {},
                {"image_url": None},
                {"image_url": "http://a", "file_id": "f"},
                ["http://a", "http://a"],
                [["http://a"]],
                [5],
            ],
        ),
    ],
    ids=lambda kind: type(kind).__name__ if not isinstance(kind, list) else "",
)
def test_the_schema_has_what_is_read(
    kind: ValueType, read: list[object], refused: list[object]
) -> None:
    assert [value for value in read if not is_read(kind, value)] == []
    assert [value for value in read if not is_in_schema(kind, value)] == []
    assert [value for value in refused if is_read(kind, value)] == []
    assert [value for value in refused if is_in_schema(kind, value)] == []


@settings(deadline=None)
@given(st.text(st.sampled_from(BLANKS + NOT_BLANKS), max_size=5))
def test_a_blank_text_is_blank_to_both(text: str) -> None:
    assert agrees(Text(4, is_blank_allowed=False), text)


def test_all_blanks_are_known() -> None:
    text = Text(4, is_blank_allowed=False)
    validator = jsonschema_rs.Draft202012Validator(text.schema())
    for character in map(chr, range(0x3100)):
        assert validator.is_valid(character) == is_read(text, character)


# Made of what the grammar is made of, so that many are nearly right.
SIZE_TEXTS = st.lists(
    st.sampled_from(
        [
            "0",
            "1",
            "9",
            "204",
            "2048",
            "14142",
            ".",
            "x",
            "X",
            "*",
            ":",
            " ",
            "\t",
            "\n",
            "auto",
            "Auto",
            "match_input_image",
            "k",
            "K",
            "mp",
            "p",
            "-",
            "+",
            "e",
            "0.25",
            "00",
        ]
    ),
    max_size=6,
).map("".join)


@settings(deadline=None)
@given(SIZE_TEXTS)
@example("0.0:1")
@example("1:0.0")
def test_any_size_is_read_if_the_schema_has_it(text: str) -> None:
    for kind in (PixelsOrRatio(2048), AspectRatio(), Resolution(), Megapixels()):
        assert agrees(kind, text)


@settings(deadline=None)
@given(st.integers(-5, 2100), st.integers(-5, 2100), st.integers(1, 2100))
def test_pixels_end_where_the_configuration_says(width: int, height: int, max_side: int) -> None:
    kind = PixelsOrRatio(max_side)
    assert agrees(kind, f"{width}x{height}")
    assert is_in_schema(kind, f"{max_side}x1")
    assert not is_in_schema(kind, f"1x{max_side + 1}")


def test_numbers_are_read_exactly() -> None:
    tier: Any = Resolution()
    assert tier.read("resolution", 5_000_000.0) == tier.read("resolution", 5_000_000) == 5_000_000
    assert tier.read("resolution", 0.1) == Fraction(0.1)
