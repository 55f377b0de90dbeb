"""The same request has the same fingerprint, and another one has another."""

from dataclasses import dataclass

import pytest

from serve_app.records.fingerprints import fingerprint


@dataclass(frozen=True, slots=True)
class File:
    filename: str
    content: bytes


BODY = {"prompt": "a\ud800 ä", "n": 2, "image": [File("a.png", b"\x89PNG")], "seed": None}


def test_it_is_short_and_the_same_every_time() -> None:
    first = fingerprint("/images/edits", BODY)
    assert len(first) == 64
    assert fingerprint("/images/edits", {**BODY, "image": [File("a.png", b"\x89PNG")]}) == first


def test_the_order_of_fields_does_not_matter() -> None:
    turned = dict(reversed(BODY.items()))
    assert list(turned) != list(BODY)
    assert fingerprint("/images/edits", turned) == fingerprint("/images/edits", BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a"},
        {"n": "2"},
        {"n": 2.0},
        {"n": True},
        {"seed": 0},
        {"extra": None},
        {"image": [File("a.png", b"\x89PNH")]},
        {"image": [File("b.png", b"\x89PNG")]},
        {"image": [File("a.png", b"\x89PNG")] * 2},
        {"image": [b"\x89PNG"]},
    ],
)
def test_any_change_is_seen(change: dict[str, object]) -> None:
    assert fingerprint("/images/edits", {**BODY, **change}) != fingerprint("/images/edits", BODY)


def test_another_endpoint_is_another_request() -> None:
    assert fingerprint("/images/generations", BODY) != fingerprint("/images/edits", BODY)


def test_what_has_no_fixed_form_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="object has no fingerprint"):
        fingerprint("/images/edits", {"prompt": object()})
