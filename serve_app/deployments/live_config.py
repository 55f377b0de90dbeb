"""What an operator may change while replicas serve: Serve's `user_config` of a deployment."""

import logging
from typing import Any, TypeVar

from pydantic import ValidationError

from serve_app.config import Config, first_line
from serve_app.errors import ConfigError

logger = logging.getLogger(__name__)

ConfigT = TypeVar("ConfigT", bound=Config)


class LiveConfig:
    """Reads each `user_config` of one deployment."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._has_one = False

    def read(self, kind: type[ConfigT], user_config: dict[str, Any] | None) -> ConfigT | None:
        """Return a `user_config`, or None where the one before is to be kept.

        Raises:
            ConfigError: The first one is not valid, so that a new replica does not start with it.
        """
        try:
            config = kind.model_validate(user_config or {})
        except ValidationError as error:
            message = f"user_config of {self._deployment}: {first_line(error)}"
            if not self._has_one:
                raise ConfigError(message) from error
            # To raise would end this replica, and its successors: nothing would be left to serve.
            logger.error("%s; the one before is kept", message)
            return None
        self._has_one = True
        return config


def overridden(base: ConfigT, changes: ConfigT) -> ConfigT:
    """Return a configuration with what another one says explicitly."""
    said = {name: getattr(changes, name) for name in changes.model_fields_set}
    return base.model_copy(update=said)
