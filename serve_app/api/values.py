"""The kinds of values a parameter can have, and how strictly JSON is read as one.

A string is never a number, a number never a boolean. `2.0` is an integer: JSON has one number type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.api import invalid


class ValueType(Protocol):
    """Reads one JSON value of a field, or raises `InvalidRequestError` in the field's name."""

    def read(self, field: str, value: object) -> object:
        """Return the value in the form the rest of the API uses."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between `minimum` and `maximum`, both included."""

    minimum: int
    maximum: int

    def read(self, field: str, value: object) -> int:
        """Return the number."""
        number = read_integer(field, value)
        check_range(field, number, self.minimum, self.maximum)
        return number


@dataclass(frozen=True, slots=True)
class Number:
    """A number between `minimum` and `maximum`, both included."""

    minimum: float
    maximum: float

    def read(self, field: str, value: object) -> float:
        """Return the number."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise invalid.wrong_type(field, "a number")
        check_range(field, value, self.minimum, self.maximum)
        return float(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, field: str, value: object) -> bool:
        """Return the boolean."""
        if not isinstance(value, bool):
            raise invalid.wrong_type(field, "a boolean")
        return value


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `max_length` characters; `is_blank_allowed` permits an empty one."""

    max_length: int
    is_blank_allowed: bool = True

    def read(self, field: str, value: object) -> str:
        """Return the string."""
        if not isinstance(value, str):
            raise invalid.wrong_type(field, "a string")
        if not self.is_blank_allowed and not value.strip():
            raise invalid.wrong_value(field, value, "Must not be empty.")
        if "\0" in value:
            raise invalid.wrong_value(field, value, "Must not contain NUL characters.")
        if len(value) > self.max_length:
            rule = f"Must be at most {self.max_length} characters; this has {len(value)}."
            raise invalid.wrong_value(field, value, rule)
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words.

    Attributes:
        words: In the form the rest of the API uses.
        synonyms: Other spellings, and the word each stands for.
        is_any_case: Whether upper-case letters are read as lower-case ones.
    """

    words: tuple[str, ...]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    is_any_case: bool = False

    def read(self, field: str, value: object) -> str:
        """Return the word."""
        if not isinstance(value, str):
            raise invalid.wrong_type(field, "a string")
        spelled = value.lower() if self.is_any_case else value
        word = self.synonyms.get(spelled, spelled)
        if word not in self.words:
            raise invalid.not_among(field, value, self.words)
        return word


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something this server cannot do yet; sent at all, it is refused under one name."""

    param: str
    reason: str

    def read(self, field: str, value: object) -> object:
        """Refuse the value."""
        raise invalid.not_supported(self.param, field, self.reason)


def read_integer(field: str, value: object) -> int:
    """Return a JSON number that has no fraction, of any size."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise invalid.wrong_type(field, "an integer")
    return number


def check_range(field: str, number: float, minimum: float, maximum: float) -> None:
    """Raise `InvalidRequestError` unless a number is between two others, or equal to one."""
    if not minimum <= number <= maximum:
        raise invalid.wrong_value(field, number, f"Must be between {minimum} and {maximum}.")
