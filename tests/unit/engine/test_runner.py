"""Steps of several jobs do not touch each other."""

import torch

from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob


def run_alone(runner: Runner, job: Job) -> torch.Tensor:
    while not job.is_done:
        runner.step([job])
    return job.latents


def test_interleaved_jobs_equal_jobs_run_alone(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    runner = Runner(Transformers())
    specs = [(1, 3, Size(32, 48)), (2, 5, Size(64, 16)), (3, 1, Size(32, 48))]
    jobs = [make_job(*spec) for spec in specs]
    for _ in range(5):
        for job in jobs:
            if not job.is_done:
                runner.step([job])
    for job, spec in zip(jobs, specs, strict=True):
        assert torch.equal(job.latents, run_alone(runner, make_job(*spec)))


def test_a_job_counts_its_steps(transformer: TransformerStage, make_job: MakeJob) -> None:
    job = make_job(num_steps=2)
    seen = [(job.num_steps_done, job.is_done)]
    for _ in range(2):
        before = job.latents.clone()
        Runner(Transformers()).step([job])
        seen.append((job.num_steps_done, job.is_done))
        assert not torch.equal(job.latents, before)
        assert not job.latents.requires_grad
    assert seen == [(0, False), (1, False), (2, True)]
