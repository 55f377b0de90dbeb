"""What Serve calls: a request goes to the denoiser that would end it first.

A config file names it in a `request_router_config`. It decides for one handle: what the
other ingresses send it learns from the replicas' next reports.
"""

import logging
import time
from math import inf

from ray.serve._private.common import RequestMetadata
from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
from ray.serve.request_router import PendingRequest, RunningReplica

from serve_app.messages import DenoiseParams
from serve_app.routing.report import Report
from serve_app.routing.standings import Asked, Standings

logger = logging.getLogger(__name__)

STALE_AFTER_S = 5.0


class WorkRouter(PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # Ray's is not typed
    """Serve's own router, and its choice wherever the work is not known.

    That one takes requests in their order, whoever they are matched with: without it several calls
    of one request would wait for each other (Ray 2.60).
    """

    def initialize_state(self, stale_after_s: float = STALE_AFTER_S) -> None:
        """Take the `request_router_kwargs`.

        Args:
            stale_after_s: Seconds after which a denoiser's report says nothing any more.
        """
        self._standings = Standings(stale_after_s)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Return the replicas, each a rank of its own, or Serve's own choice."""
        by_name = {replica.replica_id.unique_id: replica for replica in candidate_replicas}
        now = time.monotonic()
        self._standings.keep(by_name)
        for name, replica in by_name.items():
            self._standings.note(name, Report.read(replica.routing_stats), now)
        order = self._standings.order(list(by_name), asked_of(pending_request), now)
        if order is None:
            chosen: list[list[RunningReplica]] = await super().choose_replicas(
                candidate_replicas, pending_request
            )
            return chosen
        if pending_request is not None:
            # All of them were tried when these are: there are no others to try at once.
            pending_request.routing_context.should_backoff = True
        return [[by_name[name]] for name in order]

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: RequestMetadata | None = None
    ) -> None:
        """Give a replica to the request whose turn it is, and count that at once.

        Serve's public hook, `on_request_routed`, comes when the replica has taken the request, and
        it takes none before the prompt is encoded: all that come meanwhile would go to the same.
        """
        waiting = (each for each in self._pending_requests_to_fulfill if not each.future.done())
        request = next(waiting, None)
        super()._fulfill_next_pending_request(replica, request_metadata)
        if request is not None:
            name = replica.replica_id.unique_id
            self._standings.sent(name, asked_of(request), time.monotonic())


def asked_of(request: PendingRequest | None) -> Asked:
    """Return what counts of a request."""
    args = () if request is None else request.args
    params = next((one for one in args if isinstance(one, DenoiseParams)), None)
    if params is None:
        return Asked()
    num_steps = params.num_inference_steps * params.strength
    return Asked(
        params.priority,
        params.canvas.width * params.canvas.height * num_steps,
        inf if params.must_end_unix_s is None else params.must_end_unix_s - time.time(),
    )
