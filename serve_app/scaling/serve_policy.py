"""The policy as Serve calls it: a config file's `autoscaling_policy`.

Serve calls it in its controller's loop, ten times a second, and an exception there would stop
every application: so nothing is read, nothing is awaited, and nothing raised. Ray is not imported.
"""

import logging
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from serve_app.config import ScalingConfig
from serve_app.scaling.policy import Memory, plan
from serve_app.scaling.readings import application_load, speed_of
from serve_app.scaling.reports import EngineWork

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

Contexts: TypeAlias = "Mapping[Hashable, AutoscalingContext]"

logger = logging.getLogger(__name__)


class ApplicationPolicy:
    """Decides for all deployments of one application together."""

    def __init__(self, **rules: Any) -> None:
        """Start without a memory.

        Args:
            rules: A `ScalingConfig`; one that is not valid is logged, and the defaults apply.
        """
        try:
            self._rules = ScalingConfig.model_validate(rules)
        except ValidationError:
            logger.exception("the autoscaling policy's settings are not valid; it uses its own")
            self._rules = ScalingConfig()
        self._memory = Memory()
        self._speed: EngineWork | None = None

    def __call__(
        self, contexts: Contexts
    ) -> tuple[dict[Hashable, int], dict[Hashable, dict[str, Any]]]:
        """Return how many replicas each deployment shall have; what is left out stays as it is."""
        try:
            ids = {context.deployment_name: key for key, context in contexts.items()}
            loads = list(contexts.values())
            self._speed = speed_of(loads) or self._speed
            load = application_load(loads, self._speed)
            if load is None:
                return {}, {}
            targets, self._memory = plan(load, self._memory, self._rules)
            return {ids[name]: target for name, target in targets.items()}, {}
        except Exception:
            logger.exception("the autoscaling policy failed; replicas stay as they are")
            return {}, {}
