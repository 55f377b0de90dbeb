"""A body as the table of parameters reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from serve_app.api.parameters import Parameter
from serve_app.api.values import invalid
from serve_app.api.values.kinds import OneInAll
from serve_app.errors import InvalidRequestError

# Unknown names are told back to the client; no answer shall be longer for it than pictures are.
MAX_UNKNOWN = 100
MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Fields:
    """A body as the table reads it.

    Attributes:
        values: By canonical name: what was given, else the default.
        given: By canonical name: the names it was sent under.
        unknown: Names the table does not have, in the order they were sent: the first ones, cut.
    """

    values: Mapping[str, Any]
    given: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]


def read_fields(body: Mapping[str, object], table: tuple[Parameter, ...]) -> Fields:
    """Return what a body says; a field that is null is not given.

    Raises:
        InvalidRequestError: A field is missing, of the wrong type, out of range, or contradicted.
    """
    sent = {name: value for name, value in body.items() if value is not None}
    values: dict[str, object] = {}
    given: dict[str, tuple[str, ...]] = {}
    for parameter in table:
        names = tuple(name for name in parameter.names if name in sent)
        values[parameter.name] = _read(parameter, {name: sent[name] for name in names})
        if names:
            given[parameter.name] = names
    known = {name for parameter in table for name in parameter.names}
    unknown = islice((name for name in sent if name not in known), MAX_UNKNOWN)
    return Fields(values, given, tuple(name[:MAX_NAME_CHARACTERS] for name in unknown))


def _read(parameter: Parameter, sent: Mapping[str, object]) -> object:
    if not sent:
        if parameter.is_required:
            raise invalid.missing(parameter.name)
        return parameter.default
    read = {name: parameter.type.read(name, value) for name, value in sent.items()}
    # An empty list of images, say, is a name without a value.
    first, *others = [name for name in read if read[name] is not None] or read
    for other in others:
        if read[other] != read[first]:
            raise _contradiction(parameter, first, other)
    return read[first]


def _contradiction(parameter: Parameter, first: str, other: str) -> InvalidRequestError:
    if isinstance(parameter.type, OneInAll):
        return parameter.type.too_many()
    return invalid.conflict(parameter.name, first, other)
