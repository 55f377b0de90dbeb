"""Links: only ours work, only as we made them, only until they expire."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.storage.links import Link, LinkSigner
from serve_app.storage.names import HOUR_S, ObjectName

NEW, OLD, FOREIGN = b"new" * 16, b"old" * 16, b"foreign" * 8
NOW_S = 1_800_000_000
LINK = Link(ObjectName(NOW_S // HOUR_S, "0123456789abcdef" * 2, "png"), NOW_S + 60)
SIGNER = LinkSigner([NEW])
TEXT = SIGNER.sign(LINK)
HEX = "0123456789abcdef"


def test_a_link_says_which_picture_and_until_when() -> None:
    assert SIGNER.verify(TEXT, NOW_S) == LINK


def test_a_link_needs_no_escaping_in_a_path() -> None:
    assert re.fullmatch(r"[0-9a-f]{88}\.png", TEXT)


def test_a_link_ends_at_its_second() -> None:
    assert SIGNER.verify(TEXT, LINK.expires_at_s - 0.001) == LINK
    assert SIGNER.verify(TEXT, LINK.expires_at_s) is None


@pytest.mark.parametrize("position", range(88))
def test_no_character_can_be_changed(position: int) -> None:
    others = set(string.printable) - {TEXT[position]}
    altered = [TEXT[:position] + other + TEXT[position + 1 :] for other in others]
    assert [SIGNER.verify(text, NOW_S) for text in altered] == [None] * len(altered)


@pytest.mark.parametrize(
    "altered",
    [
        "",
        ".png",
        "..",
        "../secret.png",
        TEXT[:-4],
        TEXT[:-4] + ".jpeg",
        TEXT[:-4] + ".PNG",
        TEXT + "\n",
        TEXT + "/..",
        TEXT.upper(),
        TEXT[2:],
        "00" + TEXT,
        TEXT[:40] + "\0" + TEXT[41:],
        TEXT[:40] + "é" + TEXT[41:],
        f"{'0' * 32}.png",
        f"{'0' * 88}.png",
    ],
)
def test_altered_and_invented_links_are_refused(altered: str) -> None:
    assert SIGNER.verify(altered, NOW_S) is None


@settings(deadline=None)
@given(
    st.text(max_size=100)
    | st.binary(min_size=44, max_size=44).map(lambda token: f"{token.hex()}.png")
)
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert SIGNER.verify(text, NOW_S) is None


def test_an_older_key_still_opens_and_the_newer_one_signs() -> None:
    rotated = LinkSigner([NEW, OLD])
    assert rotated.verify(LinkSigner([OLD]).sign(LINK), NOW_S) == LINK
    assert rotated.sign(LINK) == LinkSigner([NEW]).sign(LINK)
    assert LinkSigner([OLD]).verify(rotated.sign(LINK), NOW_S) is None


def test_a_foreign_key_opens_nothing() -> None:
    assert SIGNER.verify(LinkSigner([FOREIGN]).sign(LINK), NOW_S) is None


def test_naming_our_key_does_not_help_a_foreign_signature() -> None:
    foreign = LinkSigner([FOREIGN]).sign(LINK)
    forged = TEXT[:56] + foreign[56:]
    assert forged[:56] == TEXT[:56] != foreign[:56]
    assert SIGNER.verify(forged, NOW_S) is None


def test_two_pictures_have_links_of_their_own() -> None:
    other = Link(ObjectName.new("png", NOW_S), LINK.expires_at_s)
    assert SIGNER.verify(SIGNER.sign(other), NOW_S) == other != LINK
