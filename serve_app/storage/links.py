"""The last part of a `/media/…` URL: which picture, until when, and our signature under both.

All of it stands in the path. A query may be cut off by a client, and left out of its key by a
cache, which would then answer an altered URL with the picture of a good one. Written in lower-case
hex, each link has one spelling, which nothing on the way needs to escape.
"""

import hashlib
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.storage.names import ObjectName

# Keeps these signatures apart from any other use of the same key.
_CONTEXT = b"krea-serve media link 1\0"
_FIELDS = struct.Struct(">16s4sII")  # picture id, key id, expiry in s, hour
_NUM_KEY_ID_BYTES = 4
_NUM_SIGNATURE_BYTES = 16
_NUM_DIGITS = 2 * (_FIELDS.size + _NUM_SIGNATURE_BYTES)
_LINK = re.compile(rf"(?P<token>[0-9a-f]{{{_NUM_DIGITS}}})\.(?P<format>[a-z]{{1,8}})")


@dataclass(frozen=True, slots=True)
class Link:
    """What a good link says.

    Attributes:
        object_name: Of the picture it leads to.
        expires_at_s: When it ends to work, in seconds of Unix time.
    """

    object_name: ObjectName
    expires_at_s: int


class LinkSigner:
    """Makes links and tells its own from all others."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys: the first one signs, all of them are accepted."""
        self._keys = {_key_id(key): key for key in keys}
        self._newest_id = _key_id(keys[0])

    def sign(self, link: Link) -> str:
        """Return the last part of a picture's URL."""
        name = link.object_name
        picture_id = bytes.fromhex(name.picture_id)
        fields = _FIELDS.pack(picture_id, self._newest_id, link.expires_at_s, name.hour)
        signature = _signature(self._keys[self._newest_id], fields, name.output_format)
        return f"{(fields + signature).hex()}.{name.output_format}"

    def verify(self, text: str, now_s: float) -> Link | None:
        """Return what a link says, or None when it is not ours or has expired."""
        found = _LINK.fullmatch(text)
        if found is None:
            return None
        content = bytes.fromhex(found["token"])
        fields, signature = content[: _FIELDS.size], content[_FIELDS.size :]
        picture_id, key_id, expires_at_s, hour = _FIELDS.unpack(fields)
        key = self._keys.get(key_id)
        if key is None:
            return None
        # The time this takes must not tell how much of a guess was right.
        if not hmac.compare_digest(signature, _signature(key, fields, found["format"])):
            return None
        if now_s >= expires_at_s:
            return None
        return Link(ObjectName(hour, picture_id.hex(), found["format"]), expires_at_s)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(_CONTEXT + key).digest()[:_NUM_KEY_ID_BYTES]


def _signature(key: bytes, fields: bytes, output_format: str) -> bytes:
    signed = _CONTEXT + fields + output_format.encode("ascii")
    return hmac.digest(key, signed, "sha256")[:_NUM_SIGNATURE_BYTES]
