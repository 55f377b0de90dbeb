"""A secret that the processes of one machine share: a file that whoever comes first makes."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from serve_app.errors import ConfigError

NUM_SECRET_BYTES = 32
MIN_SECRET_CHARACTERS = 32


def secret_in(file: Path) -> bytes:
    """Return the secret that a file holds; a missing file is made, in a folder that exists.

    Raises:
        ConfigError: The file cannot be made or read, or holds something else.
    """
    try:
        if not file.exists():
            _make(file)
        secret = file.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{file} cannot be made or read: {error.strerror}.") from error
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise ConfigError(f"{file} does not hold a key. Delete it, and a new one is made.")
    return secret


def _make(file: Path) -> None:
    """Write a new secret, unless another process does so at the same time."""
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(NUM_SECRET_BYTES))
            opened.flush()
            os.fsync(opened.fileno())
        # A link appears with all its content, and never in the place of another file.
        with suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
