"""The expressions that JSON Schema is written with."""

import re

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.api.values.patterns import any_case, integers_up_to, whole


@pytest.mark.parametrize("maximum", [1, 9, 10, 19, 64, 100, 999, 1000, 2048, 14142])
def test_every_number_up_to_the_maximum_matches_and_no_other(maximum: int) -> None:
    number = re.compile(whole(integers_up_to(maximum)))
    matching = [value for value in range(2 * maximum + 20) if number.match(str(value))]
    assert matching == list(range(1, maximum + 1))


@pytest.mark.parametrize("text", ["", "01", "1.0", "-1", "+1", " 1", "1e1", "\u0661"])
def test_a_number_is_written_in_one_way(text: str) -> None:
    assert not re.match(whole(integers_up_to(2048)), text)


@settings(deadline=None)
@given(st.data())
def test_the_case_of_a_word_does_not_matter(data: st.DataObject) -> None:
    word = "fal-ai/flux.1"
    cases = data.draw(st.tuples(*(st.sampled_from([c.lower(), c.upper()]) for c in word)))
    assert re.match(whole(any_case(word)), "".join(cases))


@pytest.mark.parametrize("text", ["fal-ai/fluxx1", "fal-ai/flux.1x", "xfal-ai/flux.1", ""])
def test_its_letters_do(text: str) -> None:
    assert not re.match(whole(any_case("fal-ai/flux.1")), text)


def test_a_whole_text_has_nothing_before_or_behind() -> None:
    # As JSON Schema reads it: to Python alone, `$` matches before a line break too.
    validator = jsonschema_rs.Draft202012Validator({"pattern": whole("a", "bc")})
    texts = ["a", "bc", "ab", "abc", "ac", "xa", "a\n", "\na"]
    assert [text for text in texts if validator.is_valid(text)] == ["a", "bc"]
