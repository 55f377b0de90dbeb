"""What is not renewed is not held."""

from serve_app.limits.protocol import SLOT_TTL_NS
from serve_app.limits.slots import Slots


def test_a_slot_is_held_for_its_time_and_no_longer() -> None:
    slots = Slots()
    slots.renew(["b", "a"], 0)
    assert slots.held(SLOT_TTL_NS - 1) == ["a", "b"]
    assert slots.held(SLOT_TTL_NS) == []


def test_a_slot_that_is_renewed_is_held_on() -> None:
    slots = Slots()
    slots.renew(["a", "b"], 0)
    slots.renew(["a"], SLOT_TTL_NS - 1)
    assert slots.held(SLOT_TTL_NS) == ["a"]


def test_a_released_slot_is_free_at_once_and_releasing_it_again_does_nothing() -> None:
    slots = Slots()
    slots.renew(["a", "b"], 0)
    slots.release("a")
    slots.release("a")
    assert slots.held(0) == ["b"]
