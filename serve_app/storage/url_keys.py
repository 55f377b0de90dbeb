"""The keys that sign links: the same in every replica, and after a restart."""

from pathlib import Path

from serve_app.config import url_keys
from serve_app.errors import ConfigError
from serve_app.secret_file import MIN_SECRET_CHARACTERS, secret_in

KEY_FILE = "url-signing.key"
MAX_KEYS = 2


def load_url_keys(directory: Path | None) -> tuple[bytes, ...]:
    """Return the keys of the environment, or else the one that lies in a folder.

    Args:
        directory: What all replicas share; its key is made if it is missing. None: there is no
            such folder.

    Raises:
        ConfigError: There is no key, or one that could be guessed, or none can be kept.
    """
    configured = url_keys()
    if configured:
        return _checked(configured)
    if directory is None:
        raise ConfigError(
            "KREA_SERVE_URL_KEYS must be set when pictures of a bucket are delivered through"
            " /media: replicas without a common folder need a common key."
        )
    return (secret_in(directory / KEY_FILE),)


def _checked(keys: tuple[str, ...]) -> tuple[bytes, ...]:
    if len(keys) > MAX_KEYS:
        raise ConfigError(f"KREA_SERVE_URL_KEYS holds {len(keys)} keys; at most {MAX_KEYS} fit.")
    if any(len(key) < MIN_SECRET_CHARACTERS for key in keys):
        raise ConfigError(
            f"A key in KREA_SERVE_URL_KEYS is shorter than {MIN_SECRET_CHARACTERS} characters."
            " `openssl rand -hex 32` makes a good one."
        )
    return tuple(key.encode() for key in keys)
