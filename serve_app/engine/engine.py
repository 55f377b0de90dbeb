"""The denoising loop: one thread that owns the transformer and advances jobs step by step.

Jobs join, pause, resume and leave between steps only. The scheduler is shared with those who
submit, under one lock that is never held during a step; all else is the thread's own.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

import torch

from serve_app.config import EngineConfig
from serve_app.engine.admission import check_in_time, check_others_in_time
from serve_app.engine.cost_model import CostModel
from serve_app.engine.job import Job, OnStep
from serve_app.engine.outlook import Outlook
from serve_app.engine.policies import policy_named
from serve_app.engine.runner import Ran, Runner
from serve_app.engine.scheduler import Ageing, Rules, Scheduler
from serve_app.engine.stats import EngineStats
from serve_app.engine.step_cache import StepCache
from serve_app.engine.token_budget import measure_token_budget
from serve_app.engine.transformers import Transformers
from serve_app.errors import StageFailedError
from serve_app.stages.transformer import TransformerStage
from serve_app.stages.trouble import OnBroken, Trouble, stay, too_large

logger = logging.getLogger(__name__)

# Until the first step was measured, which is at the start unless the token budget is given: a slow
# machine, so that nothing is expected too early. Nothing is refused or scaled by it.
FIRST_S_PER_FLOP = 1e-11


class Engine:
    """Runs submitted jobs until each is done, cancelled or failed.

    Every job's future is answered, whatever happens: with its latents, with its cancellation or
    with `StageFailedError("denoiser")`; the cause of a failure is in the log.
    """

    def __init__(
        self,
        transformer: TransformerStage,
        config: EngineConfig,
        transformers: Transformers | None = None,
        on_broken: OnBroken = stay,
    ) -> None:
        """Measure what a step takes, and start the thread.

        Args:
            transformer: Which most jobs will be for.
            config: How jobs are chosen.
            transformers: The packed forwards, warmed up; None: they are made when first needed.
            on_broken: Is told, from the engine's thread, that the device is of no more use, before
                the job that showed it is failed.
        """
        self._config = config
        self._transformers = transformers or Transformers()
        self._runner = Runner(self._transformers)
        self.cost_model = CostModel(FIRST_S_PER_FLOP)
        self._measured_budget = config.token_budget or measure_token_budget(
            transformer, self._transformers.of(transformer), self.cost_model
        )
        self._scheduler: Scheduler[Job] = Scheduler(self.cost_model, self._rules())
        self._num_steps = self._num_picture_steps = 0
        self._on_broken = on_broken
        self._failing_steps, self._bad_pictures = Trouble(on_broken), Trouble(on_broken)
        self._step_started_at: float | None = None
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="denoiser-engine", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs; once it does not, it never will again."""
        return self._thread.is_alive() and not self._is_closing

    @property
    def is_healthy(self) -> bool:
        """Whether a job that is submitted now may be expected to end."""
        started_at = self._step_started_at
        is_wedged = (
            started_at is not None and time.monotonic() - started_at > self._config.wedged_after_s
        )
        is_broken = self._failing_steps.is_of_the_device or self._bad_pictures.is_of_the_device
        return self.is_alive and not is_wedged and not is_broken

    def submit(self, job: Job, on_step: OnStep | None = None) -> Future[torch.Tensor]:
        """Queue a job and return its final latents, packed and on the CPU.

        Cancelling the future makes the job leave before the next step.

        Args:
            job: Not submitted before.
            on_step: Is told the steps done and the steps in all, after each step and from the
                engine's thread; what it raises fails the job.

        Raises:
            StageFailedError: The engine does not run any more.
            OverloadedError: The job cannot end in time behind those that are here, or they with it.
            DeadlineExceededError: It cannot end in time at all.
        """
        job.on_step = on_step
        with self._changed:
            if not self.is_alive:
                raise StageFailedError("denoiser")
            self._admit(job, time.monotonic())
            self._changed.notify()
        return job.future

    def reconfigure(self, config: EngineConfig) -> None:
        """Choose by another configuration from the next step on; jobs keep their deadlines."""
        with self._changed:
            self._config = config
            self._scheduler.rules = self._rules()

    def stats(self) -> EngineStats:
        """Return how it stands."""
        with self._changed:
            jobs = self._scheduler.jobs
            return EngineStats(
                num_jobs=len(jobs),
                left_s=sum(map(self.cost_model.remaining_s, jobs)),
                num_steps=self._num_steps,
                num_picture_steps=self._num_picture_steps,
                step_error=self.cost_model.error,
                token_budget=self._scheduler.rules.token_budget,
                overhead_s=self.cost_model.overhead_s,
                s_per_flop=self.cost_model.s_per_flop if self.cost_model.is_taught else 0.0,
                num_recompiles=self._transformers.num_recompiles,
                picture_error=self.cost_model.picture_error,
                slo_factor=self._config.slo_factor,
            )

    def outlook(self) -> Outlook:
        """Return how much would go before jobs that come now."""
        with self._changed:
            return self._scheduler.outlook(time.monotonic())

    def close(self) -> None:
        """End the loop after the step it is in; jobs that are left fail."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def step(self) -> None:
        """Run one step of the jobs that the scheduler picks."""
        self._drop_cancelled()
        jobs = self._pick()
        if not jobs:
            return
        started = self._step_started_at = time.monotonic()
        ran = self._run(jobs)
        seconds = time.monotonic() - started
        self._step_started_at = None
        if ran is not None:
            self._count(jobs, ran)
        for job in jobs:
            job.ran_s += seconds
            self._answer(job)

    def _rules(self) -> Rules:
        config = self._config
        return Rules(
            policy=policy_named(config.policy, self.cost_model),
            token_budget=config.token_budget or self._measured_budget,
            ageing=Ageing(config.starved_after_s, config.starved_share),
        )

    def _loop(self) -> None:
        try:
            while self._wait_for_work():
                self.step()
        except Exception as error:
            self._on_broken(f"the loop ended: {error}")
            raise
        finally:
            self._fail_all()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self._scheduler.jobs)
            return not self._is_closing

    def _admit(self, job: Job, now: float) -> None:
        solo_s = job.foresee(self.cost_model)
        job.arrived_at = now
        job.step_cache = self._step_cache(job)
        job.deadline_at = now + self._config.slo_factor * solo_s
        if job.must_end_unix_s is not None:
            left_s = job.must_end_unix_s - time.time() - self._config.delivery_s
            job.must_end_at = now + left_s
            job.deadline_at = min(job.deadline_at, job.must_end_at)
            if self.cost_model.is_taught:
                check_in_time(solo_s, self._scheduler.ahead_s(job, now), left_s)
                check_others_in_time(self._scheduler.must_wait_s(job, now))
        self._scheduler.add(job)

    def _step_cache(self, job: Job) -> StepCache | None:
        match job.acceleration:
            case "regular":
                return StepCache(self._config.regular_threshold)
            case "high":
                return StepCache(self._config.high_threshold)
            case "none":
                return None

    def _drop_cancelled(self) -> None:
        with self._changed:
            for job in self._scheduler.jobs:
                if job.future.cancelled():
                    self._scheduler.remove(job)
                    # Wakes who waits for the future in another thread; `cancel` alone does not.
                    job.future.set_running_or_notify_cancel()

    def _pick(self) -> Sequence[Job]:
        with self._changed:
            return self._scheduler.pick(time.monotonic())

    def _run(self, jobs: Sequence[Job]) -> Sequence[Ran] | None:
        """Advance the jobs together; return what ran, or None where that failed."""
        try:
            return self._runner.step(jobs)
        except Exception as error:
            logger.exception("a step of %s failed", ", ".join(job.name for job in jobs))
            self._failing_steps.happened(error)
            self._run_apart(jobs)
            return None

    def _run_apart(self, jobs: Sequence[Job]) -> None:
        """Advance each job alone, and fail those that cannot; the others share the step after all.

        So those get what they would have got without the job that failed, to the bit. Where each
        can run alone, as when a batch does not fit the memory, they do so from now on.
        """
        before = [(job, job.standing) for job in jobs]
        left = [
            (job, standing)
            for job, standing in before
            if self._guarded(job, partial(self._step_alone, job))
        ]
        if len(left) == len(jobs):
            for job in jobs:
                self._set_apart(job)
            return
        for job, standing in left:
            job.go_back(standing)
        if left:
            self._run([job for job, _ in left])

    def _step_alone(self, job: Job) -> None:
        try:
            self._runner.step([job])
        except Exception as error:
            self._failing_steps.failed(error)
            raise
        self._failing_steps.succeeded()

    def _count(self, jobs: Sequence[Job], ran: Sequence[Ran]) -> None:
        with self._changed:
            self._num_steps += 1
            self._failing_steps.succeeded()
            self._num_picture_steps += len(jobs)
            for one in ran:
                one.teach(self.cost_model)

    def _answer(self, job: Job) -> None:
        """Tell a job's owner what the step has brought."""
        if not job.future.done():
            self._guarded(job, partial(self._tell, job))

    def _tell(self, job: Job) -> None:
        if job.on_step is not None:
            job.on_step(job.num_steps_done, job.num_steps)
        if job.preview is not None and job.on_preview is not None:
            preview, job.preview = job.preview.cpu(), None
            job.on_preview(preview)
        if job.is_done:
            self._deliver(job)

    def _deliver(self, job: Job) -> None:
        latents = job.latents.cpu()
        # Looked at here and not after each step: on a GPU a look waits for the device.
        if not torch.isfinite(latents).all():
            if job.runs_alone:
                error = FloatingPointError("the latents are not finite")
                if not job.adapters:  # an adapter at any scale may do that by itself
                    self._bad_pictures.failed(error)
                raise error
            logger.warning("job %s: the latents are not finite; it runs again, alone", job.name)
            self._begin_again(job)
            return
        self._bad_pictures.succeeded()
        with self._changed:
            job.teach(self.cost_model)
            self._scheduler.remove(job)
        if job.future.set_running_or_notify_cancel():
            job.future.set_result(latents)

    def _begin_again(self, job: Job) -> None:
        with self._changed:
            job.begin_again()
            self._set_apart(job)

    def _set_apart(self, job: Job) -> None:
        """Let a job share no more batch; the scheduler is to know it as another."""
        with self._changed:
            self._scheduler.remove(job)
            job.runs_alone = True
            self._scheduler.add(job)

    def _guarded(self, job: Job, work: Callable[[], None]) -> bool:
        """Do something for a job, which alone fails if it fails; return whether it was done."""
        try:
            work()
        except Exception as error:
            logger.exception("job %s failed in step %d", job.name, job.num_steps_done)
            self._remove(job)
            _fail(job, too_large(error, "denoiser") or StageFailedError("denoiser"))
            return False
        return True

    def _remove(self, job: Job) -> None:
        with self._changed:
            self._scheduler.remove(job)

    def _fail_all(self) -> None:
        with self._changed:
            self._is_closing = True
            jobs = self._scheduler.jobs
        for job in jobs:
            self._remove(job)
            _fail(job, StageFailedError("denoiser"))


def _fail(job: Job, error: StageFailedError) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(error)
