"""The pepper: what is mixed into the hashes of API keys, and does not lie in the database.

Whoever reads the database, or writes to it, can neither test a guess nor make a key. Another pepper
is the end of every key.
"""

from sqlalchemy import URL

from serve_app.config import key_pepper
from serve_app.errors import ConfigError
from serve_app.records.database import folder_of
from serve_app.secret_file import MIN_SECRET_CHARACTERS, secret_in

PEPPER_FILE = "key-pepper.key"


def load_pepper(url: URL) -> bytes:
    """Return the pepper of the environment, or else the one that lies beside an SQLite database.

    Raises:
        ConfigError: There is none, or one that could be guessed, or none can be kept.
    """
    configured = key_pepper()
    if configured is not None:
        return _checked(configured)
    folder = folder_of(url)
    if folder is None:
        raise ConfigError(
            "KREA_SERVE_KEY_PEPPER must be set when the database is not a file of this machine."
        )
    return secret_in(folder / PEPPER_FILE)


def _checked(pepper: str) -> bytes:
    if len(pepper) < MIN_SECRET_CHARACTERS:
        raise ConfigError(
            f"KREA_SERVE_KEY_PEPPER is shorter than {MIN_SECRET_CHARACTERS} characters."
            " `openssl rand -hex 32` makes a good one."
        )
    return pepper.encode()
