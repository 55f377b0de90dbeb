"""The processor time of one choice of the production scheduler among many jobs."""

import random
import time
from dataclasses import replace

from benchmarks.scheduling.machine import FLOPS_PER_S, OVERHEAD_S, image_tokens
from benchmarks.scheduling.ours import AGEING, TOKEN_BUDGET, Picture, picture_of
from benchmarks.scheduling.workload import Load
from serve_app.engine.cost_model import CostModel
from serve_app.engine.policies import EarliestDeadline
from serve_app.engine.scheduler import Rules, Scheduler
from serve_app.planning.machine import TEXT_TOKENS

NUM_STEPS = 1000
NUM_TENANTS = 16
SMALL_PX = 512


def choice_ms(num_jobs: int, num_sharing: int | None = None) -> float:
    """Return the mean over a thousand steps, in milliseconds, leaving and joining included.

    A job that is done is replaced by a new one; the jobs are of all sizes and of 16 tenants.

    Args:
        num_jobs: Unfinished, running or waiting.
        num_sharing: If given, all pictures are of 512x512, and so many have room in a step.
    """
    side_px = None if num_sharing is None else SMALL_PX
    budget = (num_sharing or 0) * (image_tokens(SMALL_PX) + TEXT_TOKENS) or TOKEN_BUDGET
    model = CostModel(1 / FLOPS_PER_S, OVERHEAD_S)
    scheduler: Scheduler[Picture] = Scheduler(model, Rules(EarliestDeadline(model), budget, AGEING))
    rng = random.Random(0)  # noqa: S311 - no secret
    fresh = iter(_pictures(num_jobs + NUM_STEPS * (num_sharing or 3), rng, side_px))
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


def _pictures(count: int, rng: random.Random, side_px: int | None) -> list[Picture]:
    requests = Load("mixed sizes", True, 1.0).requests(1.0, 2.0 * count, seed=5)[:count]
    model = CostModel(1 / FLOPS_PER_S, OVERHEAD_S)
    pictures = [
        picture_of(0, replace(request, side_px=side_px or request.side_px), 0.0, 3.0, model)
        for request in requests
    ]
    for picture in pictures:
        picture.tenant = str(rng.randrange(NUM_TENANTS))
        # Those that are there first have deadlines on which they depend for a while.
        picture.deadline_at = rng.uniform(1, 4) * count * 0.5
    return pictures
