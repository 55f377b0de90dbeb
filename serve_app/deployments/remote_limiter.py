"""The ingress's side of the Limiter."""

from typing import Any

from ray.serve.handle import DeploymentHandle

from serve_app.config import LimitsConfig
from serve_app.limits.admission import Gatekeeper, NoLimits
from serve_app.limits.gate import Gate
from serve_app.limits.meters import limits_of
from serve_app.limits.protocol import Answer, Ask, Crowd, Presence
from serve_app.responses import Responses


class RemoteLimiter:
    """The Limiter deployment as the gate calls it; nothing of Ray leaves, and no call is left."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def answer(self, ask: Ask) -> Answer:
        """Decide on the requests of one key."""
        answer: Answer = await self._call(self._handle.answer, ask)
        return answer

    async def renew(self, presence: Presence) -> Crowd:
        """Keep an ingress and its running requests in mind."""
        crowd: Crowd = await self._call(self._handle.renew, presence)
        return crowd

    async def release(self, key: str, slot: str) -> None:
        """Note that a request does not run any more."""
        await self._call(self._handle.release, key, slot)

    async def _call(self, method: DeploymentHandle[Any], *args: object) -> Any:
        try:
            with Responses() as responses:
                return await responses.start(method, *args)
        except Exception as error:
            # Whatever it is: no limit is worth a 500.
            raise ConnectionError(str(error)) from error


def gatekeeper_of(limits: LimitsConfig, limiter: DeploymentHandle[Any] | None) -> Gatekeeper:
    """Return who lets requests into an ingress; it talks to the Limiter from now on, if one is."""
    if limiter is None:
        return NoLimits()
    gate = Gate(limits_of(limits), RemoteLimiter(limiter))
    gate.start()
    return gate
