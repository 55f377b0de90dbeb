"""Names of pictures in the store: under the hour they were made in, and unguessable."""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

ROOT = "images"
# By hour, so that whoever looks for what has expired need not list what has not.
HOUR_FORMAT = "%Y/%m/%d/%H"
HOUR_S = 3600
NUM_ID_BYTES = 16

_HOUR = "[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2}"
_ID = f"[0-9a-f]{{{2 * NUM_ID_BYTES}}}"
_NAME = re.compile(rf"{ROOT}/(?P<hour>{_HOUR})/(?P<id>{_ID})\.(?P<format>[a-z]{{1,8}})")


@dataclass(frozen=True, slots=True)
class ObjectName:
    """`images/{yyyy}/{mm}/{dd}/{hh}/{id}.{format}`.

    Attributes:
        hour: Hours from the start of 1970 (UTC) until the picture was made.
        picture_id: 128 random bits as 32 hex digits.
        output_format: Of the file.
    """

    hour: int
    picture_id: str
    output_format: str

    @classmethod
    def new(cls, output_format: str, made_at_s: float) -> Self:
        """Return a name that nobody has used and nobody can guess."""
        hour = int(made_at_s) // HOUR_S
        return cls(hour, secrets.token_hex(NUM_ID_BYTES), output_format)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that a text spells.

        Raises:
            ValueError: It is none of ours.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not the name of a picture")
        made_at = datetime.strptime(found["hour"], HOUR_FORMAT).replace(tzinfo=UTC)
        return cls(int(made_at.timestamp()) // HOUR_S, found["id"], found["format"])

    def __str__(self) -> str:
        made_at = datetime.fromtimestamp(self.hour * HOUR_S, UTC)
        return f"{ROOT}/{made_at.strftime(HOUR_FORMAT)}/{self.file_name}"

    @property
    def file_name(self) -> str:
        """The last part of the name."""
        return f"{self.picture_id}.{self.output_format}"


def is_object_name(path: str) -> bool:
    """Whether a path in the store can be a picture's; all others are left alone."""
    return _NAME.fullmatch(path) is not None
