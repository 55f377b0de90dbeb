"""The denoising loop: one thread that owns the transformer and advances jobs step by step.

Jobs join and leave between steps only, so nothing here is shared with another thread but the
inbox, and each job's future.
"""

import logging
import threading
from concurrent.futures import Future

import torch

from serve_app.engine.job import Job, OnStep
from serve_app.engine.runner import Runner
from serve_app.engine.scheduler import FcfsScheduler
from serve_app.errors import StageFailedError
from serve_app.stages.transformer import TransformerStage

logger = logging.getLogger(__name__)


class Engine:
    """Runs submitted jobs until each is done, cancelled or failed.

    Every job's future is answered, whatever happens: with its latents, with its cancellation or
    with `StageFailedError("denoiser")`; the cause of a failure is in the log.
    """

    def __init__(self, transformer: TransformerStage) -> None:
        self._runner = Runner(transformer)
        self._scheduler: FcfsScheduler[Job] = FcfsScheduler()
        self._inbox: list[Job] = []
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name="denoiser-engine", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs; once it does not, it never will again."""
        return self._thread.is_alive() and not self._is_closing

    def submit(self, job: Job, on_step: OnStep | None = None) -> Future[torch.Tensor]:
        """Queue a job and return its final latents, packed and on the CPU.

        Cancelling the future makes the job leave before the next step.

        Args:
            job: Not submitted before.
            on_step: Is told the steps done and the steps in all, after each step and from the
                engine's thread; what it raises fails the job.

        Raises:
            StageFailedError: The engine does not run any more.
        """
        job.on_step = on_step
        with self._changed:
            if not self.is_alive:
                raise StageFailedError("denoiser")
            self._inbox.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """End the loop after the step it is in; jobs that are left fail."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def step(self) -> None:
        """Run one step of the jobs that the scheduler picks."""
        self._admit()
        self._drop_cancelled()
        for job in self._scheduler.pick():
            self._run(job)

    def _loop(self) -> None:
        try:
            while self._wait_for_work():
                self.step()
        finally:
            self._fail_all()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or self._inbox or self._scheduler.jobs)
            return not self._is_closing

    def _admit(self) -> None:
        with self._changed:
            admitted, self._inbox = self._inbox, []
        for job in admitted:
            self._scheduler.add(job)

    def _drop_cancelled(self) -> None:
        for job in self._scheduler.jobs:
            if job.future.cancelled():
                self._scheduler.remove(job)
                # Wakes who waits for the future in another thread; `cancel` alone does not.
                job.future.set_running_or_notify_cancel()

    def _run(self, job: Job) -> None:
        try:
            self._runner.step(job)
            if job.on_step is not None:
                job.on_step(job.num_steps_done, job.schedule.num_steps)
            if job.is_done:
                self._deliver(job)
        except Exception:
            logger.exception("job %s failed in step %d", job.name, job.num_steps_done)
            self._scheduler.remove(job)
            _fail(job)

    def _deliver(self, job: Job) -> None:
        latents = job.latents.cpu()
        # Looked at here and not after each step: on a GPU a look waits for the device.
        if not torch.isfinite(latents).all():
            raise FloatingPointError("the latents are not finite")
        self._scheduler.remove(job)
        if job.future.set_running_or_notify_cancel():
            job.future.set_result(latents)

    def _fail_all(self) -> None:
        with self._changed:
            self._is_closing = True
        self._admit()
        for job in self._scheduler.jobs:
            self._scheduler.remove(job)
            _fail(job)


def _fail(job: Job) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(StageFailedError("denoiser"))
