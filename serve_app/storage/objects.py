"""The place that a configuration names, as obstore sees it: a folder or a bucket."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from serve_app.config import StorageConfig
from serve_app.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT_TIMEOUT = timedelta(seconds=2)
# With these, a bucket that refuses connections is given up after half a second.
MAX_RETRIES = 2
FIRST_BACKOFF = timedelta(milliseconds=100)
# A picture is read as fast as its client takes it, which may be slow.
MAX_DOWNLOAD = timedelta(minutes=10)


def open_objects(config: StorageConfig) -> ObjectStore:
    """Return the folder or the bucket of a configuration; a bucket is not asked for anything yet.

    Raises:
        ConfigError: The folder cannot be made, or obstore does not understand a setting.
    """
    if config.bucket is None:
        return _folder(config)
    try:
        return from_url(
            config.bucket,
            # Which keys there are depends on the scheme; obstore knows, and refuses others.
            config=cast(Any, config.bucket_options),
            client_options=_client_options(config),
            retry_config=_retry_config(config),
        )
    except (BaseError, ValueError) as error:
        # What follows the first line is obstore's own data, which may hold a secret.
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"storage.bucket {config.bucket} cannot be used: {reason}") from error


def _folder(config: StorageConfig) -> LocalStore:
    try:
        # Whoever lists the folder knows the names of all pictures, so only its owner may.
        config.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise ConfigError(f"storage.directory {config.directory}: {reason}") from error
    return LocalStore(config.directory, automatic_cleanup=True)


def _client_options(config: StorageConfig) -> "ClientConfig":
    options: ClientConfig = {
        "connect_timeout": CONNECT_TIMEOUT,
        # Half, so that a connection that went dead leaves the time for another.
        "read_timeout": timedelta(seconds=config.timeout_s / 2),
        "timeout": MAX_DOWNLOAD,
    }
    if any(value.startswith("http://") for value in config.bucket_options.values()):
        options["allow_http"] = True
    return options


def _retry_config(config: StorageConfig) -> "RetryConfig":
    return {
        "max_retries": MAX_RETRIES,
        "retry_timeout": timedelta(seconds=config.timeout_s),
        "backoff": {"init_backoff": FIRST_BACKOFF},
    }
