"""What a client may ask of the history, as a table of parameters like that of the images."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serve_app.api.parameters import Parameter
from serve_app.api.values import invalid
from serve_app.api.values.kinds import Choice, Flag, Integer, Text
from serve_app.records.rows import STATUSES

MAX_ID_CHARACTERS = 64
TIME_RULE = "Must be an ISO 8601 time such as '2026-11-22T20:47:00Z', or Unix seconds."

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Time:
    """A moment: ISO 8601, of UTC where it names no zone, or Unix seconds."""

    def read(self, field: str, value: object) -> int:
        """Return the milliseconds of Unix time."""
        if not isinstance(value, str):
            raise invalid.wrong_type(field, "a string")
        if _SECONDS.fullmatch(value):
            return int(value) * 1000
        try:
            moment = datetime.fromisoformat(value)
            return int(_in_utc(moment).timestamp() * 1000)
        except (ValueError, OverflowError):
            raise invalid.wrong_value(field, value, TIME_RULE) from None

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what it reads."""
        return {"type": "string", "description": TIME_RULE}


HISTORY_PARAMETERS = (
    Parameter("limit", Integer(1, 100), "passthrough", "Requests of a page.", 20),
    Parameter(
        "starting_after",
        Text(MAX_ID_CHARACTERS),
        "passthrough",
        "The id of the last request of the page before.",
    ),
    Parameter(
        "ending_before",
        Text(MAX_ID_CHARACTERS),
        "passthrough",
        "The id of the first request of the page behind.",
    ),
    Parameter("created_after", Time(), "passthrough", "Only requests that came later."),
    Parameter("created_before", Time(), "passthrough", "Only requests that came earlier."),
    Parameter("key_id", Text(MAX_ID_CHARACTERS), "passthrough", "Only requests of one key."),
    Parameter("status", Choice(STATUSES), "passthrough", "Only requests that ended so."),
    Parameter("summary", Flag(), "passthrough", "Adds what all pages together cost.", False),
)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
