"""Names of pictures: where they lie, and which paths are none."""

import re

import pytest

from serve_app.storage.names import HOUR_S, ObjectName, is_object_name

ID = "0123456789abcdef" * 2
# 2026-03-04 05:59:59 UTC
MADE_AT_S = 1772603999


def test_a_name_says_the_hour_in_utc() -> None:
    name = ObjectName.new("webp", MADE_AT_S)
    assert re.fullmatch(r"images/2026/03/04/05/[0-9a-f]{32}\.webp", str(name))
    assert str(ObjectName.new("webp", MADE_AT_S + 1)).startswith("images/2026/03/04/06/")


def test_names_do_not_repeat() -> None:
    assert len({ObjectName.new("png", MADE_AT_S).picture_id for _ in range(500)}) == 500


@pytest.mark.parametrize("made_at_s", [0, MADE_AT_S, 2**32 - 1])
def test_reading_a_name_gives_it_back(made_at_s: int) -> None:
    name = ObjectName.new("jpeg", made_at_s)
    assert name.hour == made_at_s // HOUR_S
    assert ObjectName.parse(str(name)) == name


def test_names_of_one_depth_are_in_the_order_of_time() -> None:
    names = [str(ObjectName(hour, ID, "png")) for hour in range(0, 500_000, 1009)]
    assert names == sorted(names)


NOT_NAMES = [
    "",
    f"{ID}.png",
    f"images/{ID}.png",
    f"images/2026/3/4/5/{ID}.png",
    f"images/2026/03/04/05/{ID[1:]}.png",
    f"images/2026/03/04/05/{ID.upper()}.png",
    f"images/2026/03/04/05/{ID}",
    f"images/2026/03/04/05/{ID}.png\n",
    f"images/2026/03/04/05/{ID}.png#1",
    f"images/2026/03/04/../{ID}.png",
    f"/images/2026/03/04/05/{ID}.png",
    f"other/2026/03/04/05/{ID}.png",
]


@pytest.mark.parametrize("text", NOT_NAMES)
def test_other_paths_are_no_names(text: str) -> None:
    assert not is_object_name(text)
    with pytest.raises(ValueError, match="not the name"):
        ObjectName.parse(text)


def test_an_hour_that_no_calendar_has_is_no_name() -> None:
    with pytest.raises(ValueError, match="does not match"):
        ObjectName.parse(f"images/2026/13/04/05/{ID}.png")


def test_a_name_is_one() -> None:
    assert is_object_name(f"images/2026/03/04/05/{ID}.png")
