"""API keys: how they look, what they allow, and what is kept of them.

A key is `kr_<8>_<43><6>`: a public id, 32 random bytes and a checksum, the latter two in base64url.
By the checksum a scanner can tell a key from what only looks like one. The id is in logs and in the
history; of the rest the database has a hash. A slow hash would protect what can be guessed, which
256 random bits cannot; it would cost every request, and an attacker's most of all.
"""

import base64
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum

from serve_app.messages import Priority

PREFIX = "kr_"
NUM_ID_CHARACTERS = 8
NUM_SECRET_BYTES = 32

_ID_ALPHABET = string.ascii_lowercase + string.digits
_KEY = re.compile(
    rb"(?P<body>(?P<id>kr_[a-z0-9]{8})_[A-Za-z0-9_-]{43})"
    rb"(?P<checksum>[A-Za-z0-9_-]{6})"
)
# Keeps these hashes apart from any other use of the same pepper.
_CONTEXT = b"krea-serve api key 1\0"

DEFAULT_ORGANISATION = "default"

# When a key was used last, nobody needs to know more precisely, and it saves a write per request.
LAST_USED_PRECISION_MS = 3600 * 1000


class Scope(StrEnum):
    """What a key may do; to list the models, any key will do."""

    GENERATE = "images:generate"
    EDIT = "images:edit"
    READ_HISTORY = "history:read"
    PURGE_HISTORY = "history:purge"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_id: The public part of the key; None without one, on a server that asks for none.
        organisation: Whose history this is.
        scopes: What the caller may do.
        priority: The class of its requests, where they do not say.
        highest_priority: The best class they may ask for.
    """

    key_id: str | None
    organisation: str
    scopes: frozenset[Scope]
    priority: Priority = Priority.STANDARD
    highest_priority: Priority = Priority.INTERACTIVE

    def may(self, scope: Scope) -> bool:
        """Whether the caller may do something."""
        return scope in self.scopes


ANONYMOUS = Caller(None, DEFAULT_ORGANISATION, frozenset(Scope))


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What the database has of a key.

    Attributes:
        id: Its public part.
        name: The operator's, for people.
        organisation: Whose key it is; one may have several that work.
        scopes: What it allows.
        key_hash: Of the whole key.
        created_at_ms: When it was made.
        expires_at_ms: When it ends to work; None: never.
        revoked_at_ms: When it was made useless; None: it was not.
        last_used_at_ms: Give or take an hour.
        priority: The class of its requests; they may ask for a lower one.
    """

    id: str
    name: str
    organisation: str
    scopes: frozenset[Scope]
    key_hash: bytes
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    last_used_at_ms: int | None = None
    priority: Priority = Priority.STANDARD

    def state(self, now_ms: int) -> str:
        """Return `live`, `expired` or `revoked`."""
        if self.revoked_at_ms is not None:
            return "revoked"
        is_over = self.expires_at_ms is not None and now_ms >= self.expires_at_ms
        return "expired" if is_over else "live"

    def is_use_due(self, now_ms: int) -> bool:
        """Whether a use now is worth noting."""
        noted_ms = self.last_used_at_ms
        return noted_ms is None or now_ms >= noted_ms + LAST_USED_PRECISION_MS

    @property
    def caller(self) -> Caller:
        """Who has this key."""
        return Caller(self.id, self.organisation, self.scopes, self.priority, self.priority)


def new_key() -> str:
    """Return a key that nobody has and nobody can guess."""
    public_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(NUM_ID_CHARACTERS))
    body = f"{PREFIX}{public_id}_{secrets.token_urlsafe(NUM_SECRET_BYTES)}"
    return body + _checksum(body.encode()).decode()


def id_of(key: bytes) -> str | None:
    """Return the public part of a key, or None for what cannot be one of ours."""
    found = _KEY.fullmatch(key)
    if found is None or _checksum(found["body"]) != found["checksum"]:
        return None
    return found["id"].decode()


def hash_of(key: bytes, pepper: bytes) -> bytes:
    """Return what the database keeps in a key's place: 32 bytes."""
    return hmac.digest(pepper, _CONTEXT + key, "sha256")


def _checksum(body: bytes) -> bytes:
    return base64.urlsafe_b64encode(zlib.crc32(body).to_bytes(4, "big"))[:6]
