"""The processor time of one choice of the production scheduler among many jobs."""

import random
import time

from benchmarks.scheduling.machine import FLOPS_PER_S, OVERHEAD_S
from benchmarks.scheduling.ours import AGEING, TOKEN_BUDGET, Picture, picture_of
from benchmarks.scheduling.workload import Load
from serve_app.engine.cost_model import CostModel
from serve_app.engine.policies import EarliestDeadline
from serve_app.engine.scheduler import Rules, Scheduler

NUM_STEPS = 1000
NUM_TENANTS = 16


def choice_ms(num_jobs: int) -> float:
    """Return the mean over a thousand steps, in milliseconds, leaving and joining included.

    A job that is done is replaced by a new one; the jobs are of all sizes and of 16 tenants.
    """
    model = CostModel(1 / FLOPS_PER_S, OVERHEAD_S)
    scheduler: Scheduler[Picture] = Scheduler(
        model, Rules(EarliestDeadline(model), TOKEN_BUDGET, AGEING)
    )
    rng = random.Random(0)  # noqa: S311 - no secret
    fresh = iter(_pictures(num_jobs + NUM_STEPS, rng))
    now = 0.0
    for _ in range(num_jobs):
        scheduler.add(next(fresh))
    spent = 0.0
    for _ in range(NUM_STEPS):
        started = time.process_time()
        batch = scheduler.pick(now)
        spent += time.process_time() - started
        now += model.batch_s(batch)
        for picture in batch:
            picture.num_steps_done += 1
            if picture.is_done:
                started = time.process_time()
                scheduler.remove(picture)
                coming = next(fresh)
                coming.arrived_at, coming.deadline_at = now, now + 3 * model.solo_s(coming)
                scheduler.add(coming)
                spent += time.process_time() - started
    return 1000 * spent / NUM_STEPS


def _pictures(count: int, rng: random.Random) -> list[Picture]:
    requests = Load("mixed sizes", True, 1.0).requests(1.0, 2.0 * count, seed=5)[:count]
    pictures = [picture_of(0, request, 0.0, 3.0) for request in requests]
    for picture in pictures:
        picture.tenant = str(rng.randrange(NUM_TENANTS))
        # Those that are there first have deadlines on which they depend for a while.
        picture.deadline_at = rng.uniform(1, 4) * count * 0.5
    return pictures
