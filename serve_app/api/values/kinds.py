"""The kinds of values a parameter can have, and how strictly JSON is read as one.

A string is never a number, a number never a boolean. `2.0` is an integer: JSON has one number type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from serve_app.api.values import invalid
from serve_app.api.values.patterns import any_case, whole
from serve_app.errors import InvalidRequestError

JsonSchema = dict[str, Any]

# What `str.strip` takes off; the `\s` of JSON Schema is another set.
_BLANKS = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


class ValueType(Protocol):
    """Reads one JSON value of a field, or raises `InvalidRequestError` in the field's name."""

    def read(self, field: str, value: object) -> object:
        """Return the value in the form the rest of the API uses."""

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of the values that it reads, and of no others."""


@runtime_checkable
class OneInAll(Protocol):
    """A type of which a request may have one value, under whichever of its field's names."""

    def too_many(self) -> InvalidRequestError:
        """Return the error of a request with several."""


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

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


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

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, field: str, value: object) -> bool:
        """Return the boolean."""
        if not isinstance(value, bool):
            raise invalid.wrong_type(field, "a boolean")
        return value

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        return {"type": "boolean"}


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

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        any_text = r"[^\u0000]*"
        if self.is_blank_allowed:
            return {"type": "string", "maxLength": self.max_length, "pattern": whole(any_text)}
        not_blank = rf"{any_text}[^\u0000{_BLANKS}]{any_text}"
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.max_length,
            "pattern": whole(not_blank),
        }


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words.

    Attributes:
        words: In the form the rest of the API uses.
        synonyms: Other spellings, and the word each stands for.
        is_any_case: Whether it does not matter which letters are upper-case ones.
    """

    words: tuple[str, ...]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    is_any_case: bool = False

    def read(self, field: str, value: object) -> str:
        """Return the word."""
        if not isinstance(value, str):
            raise invalid.wrong_type(field, "a string")
        # ASCII only: to Unicode, the sign of Kelvin is an upper-case k.
        is_any_case = self.is_any_case and value.isascii()
        word = self._spellings().get(value.lower() if is_any_case else value)
        if word is None:
            raise invalid.not_among(field, value, self.words)
        return word

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        spellings = [*self.words, *self.synonyms]
        if not self.is_any_case:
            return {"type": "string", "enum": spellings}
        in_any_case = {
            "type": "string",
            "pattern": whole(*map(any_case, spellings)),
            "description": "Must be one of these in any case.",
        }
        return {"anyOf": [{"enum": spellings}, in_any_case]}

    def _spellings(self) -> dict[str, str]:
        spellings = {**{word: word for word in self.words}, **self.synonyms}
        if not self.is_any_case:
            return spellings
        return {spelling.lower(): word for spelling, word in spellings.items()}


@dataclass(frozen=True, slots=True)
class Anything:
    """A value that nobody looks at."""

    def read(self, field: str, value: object) -> object:
        """Return the value."""
        return value

    def schema(self) -> JsonSchema:
        """Return the JSON Schema of what it reads."""
        return {}


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
