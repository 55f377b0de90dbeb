"""A preview is where the picture would end if the rest of its way were straight."""

import torch

from serve_app.diffusion.masks import Repaint
from serve_app.engine.job import Job
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob


def previews_of(transformer: TransformerStage, job: Job) -> list[torch.Tensor]:
    shown: list[torch.Tensor] = []
    job.on_preview = shown.append
    runner = Runner(Transformers())
    while not job.is_done:
        runner.step([job])
        if job.preview is not None:
            shown.append(job.preview)
            job.preview = None
    return shown


def test_the_preview_is_the_predicted_end(transformer: TransformerStage, make_job: MakeJob) -> None:
    job, plain = make_job(num_steps=4, num_previews=1), make_job(num_steps=4)
    (preview,) = previews_of(transformer, job)
    runner = Runner(Transformers())
    runner.step([plain])
    before = plain.latents
    runner.step([plain])
    # The velocity of step 2, from its Euler step; the preview follows it down to sigma 0.
    sigmas = plain.schedule.sigmas
    velocity = (plain.latents - before) / (sigmas[2] - sigmas[1])
    torch.testing.assert_close(preview, before - sigmas[1] * velocity, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(preview, plain.latents, atol=1e-2)


def test_previews_change_no_bit_of_the_picture(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    watched, plain = make_job(num_steps=5, num_previews=3), make_job(num_steps=5)
    assert len(previews_of(transformer, watched)) == 3
    assert previews_of(transformer, plain) == []
    assert torch.equal(watched.latents, plain.latents)


def test_previews_come_nearer_to_the_picture(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    job = make_job(num_steps=12, num_previews=3)
    shown = previews_of(transformer, job)
    errors = [float((preview - job.latents).norm()) for preview in shown]
    assert errors == sorted(errors, reverse=True)


def test_under_a_mask_the_preview_keeps_the_picture(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    job = make_job(num_steps=4, num_previews=1)
    mask = torch.zeros_like(job.latents)
    mask[:, ::2] = 1
    picture, noise = torch.randn_like(job.latents), torch.randn_like(job.latents)
    job.repaint = Repaint(mask, picture, noise)
    (preview,) = previews_of(transformer, job)
    assert torch.equal(preview[:, 1::2], picture[:, 1::2])
    assert not torch.allclose(preview[:, ::2], picture[:, ::2])
