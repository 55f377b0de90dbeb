"""A picture's cache decides and gives what diffusers' cache does for the picture alone."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from serve_app.engine.packed import Hidden, PackedTransformer
from serve_app.engine.step_cache import predict
from serve_app.messages import Size
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.cached_runs import (
    Picture,
    Run,
    alone,
    inputs_of,
    random_stage,
    step,
    together,
)

MIXED = (
    Picture(Size(32, 48), 16, 12, None, seed=1),
    Picture(Size(64, 16), 7, 16, None, seed=2, guidance_scale=1.0, joins_at=1),
    Picture(Size(64, 64), 16, 5, None, seed=3, joins_at=2, rests_at=frozenset({3, 4, 9})),
    Picture(Size(16, 16), 1, 20, None, seed=4, guidance_scale=7.0, joins_at=2),
    Picture(Size(80, 48), 3, 12, None, seed=5, joins_at=6, rests_at=frozenset({7})),
)
ALWAYS, NEVER_AGAIN = -1.0, float("inf")


def with_threshold(*thresholds: float | None) -> tuple[Picture, ...]:
    pairs = zip(MIXED, thresholds, strict=True)
    return tuple(replace(picture, threshold=threshold) for picture, threshold in pairs)


@pytest.fixture(params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def stage(request: pytest.FixtureRequest) -> TransformerStage:
    return random_stage(request.param)


@pytest.fixture(scope="module")
def float32_stage() -> TransformerStage:
    return random_stage(torch.float32)


def num_computed(runs: Sequence[Run]) -> int:
    return sum(sum(run.decisions) for run in runs)


@pytest.mark.parametrize(
    "thresholds",
    [(0.4,) * 5, (0.5,) * 5, (0.5, 0.4, None, 0.45, 0.4)],
    ids=["0.4", "0.5", "mixed"],
)
def test_decisions_and_outputs_are_those_of_diffusers_alone(
    stage: TransformerStage, thresholds: tuple[float | None, ...]
) -> None:
    tolerance = {torch.float32: (2e-6, 0.0), torch.bfloat16: (2**-8, 2**-7)}[stage.dtype]
    runs = together(stage, with_threshold(*thresholds))
    for run in runs:
        expected = alone(stage, run.picture)
        assert run.decisions == expected.decisions
        for noise_pred, other in zip(run.noise_preds, expected.noise_preds, strict=True):
            torch.testing.assert_close(noise_pred, other, atol=tolerance[0], rtol=tolerance[1])
    num_steps = sum(picture.num_steps for picture in MIXED)
    assert 0.2 * num_steps < num_computed(runs) < 0.8 * num_steps


def test_another_threshold_decides_otherwise(float32_stage: TransformerStage) -> None:
    given = together(float32_stage, with_threshold(*(0.4,) * 5))
    for run in given:
        other = alone(float32_stage, replace(run.picture, threshold=0.5))
        assert run.decisions != other.decisions
        assert not torch.allclose(run.noise_preds[-1], other.noise_preds[-1], atol=1e-4)


def test_the_cache_counts_its_steps(float32_stage: TransformerStage) -> None:
    for run in together(float32_stage, with_threshold(*(0.45,) * 5)):
        assert run.cache is not None
        assert run.decisions[0]
        assert run.cache.num_computed == sum(run.decisions)
        assert run.cache.num_skipped == run.decisions.count(False)


def test_without_caches_nothing_is_another_bit(stage: TransformerStage) -> None:
    runs = [Run(picture, stage) for picture in MIXED]
    model = PackedTransformer(stage.transformer)
    with torch.no_grad():
        hidden = model.first_block(model.embed(inputs_of(runs)))
        expected = model.head(model.other_blocks(hidden), hidden)
    given = predict(model, inputs_of(runs), [None] * len(runs))
    assert all(map(torch.equal, given, expected))


class Watched(PackedTransformer):
    """Notes how many pictures the other blocks ran for."""

    def __init__(self, stage: TransformerStage) -> None:
        super().__init__(stage.transformer)
        self.batches: list[int] = []

    def other_blocks(self, hidden: Hidden) -> torch.Tensor:
        self.batches.append(len(hidden.temb))
        return super().other_blocks(hidden)


def test_only_what_is_computed_runs_the_other_blocks(float32_stage: TransformerStage) -> None:
    model = Watched(float32_stage)
    kinds = (ALWAYS, NEVER_AGAIN, None, NEVER_AGAIN, None)
    runs = [Run(picture, float32_stage) for picture in with_threshold(*kinds)]
    for _ in range(2):
        step(model, runs)
    assert model.batches == [5, 3]
    step(model, [runs[1], runs[3]])
    assert model.batches == [5, 3]


class Reads(TorchFunctionMode):
    """Notes each time that the values of a tensor are read, for which a GPU is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        reads = ("tolist", "item", "cpu", "numpy", "__bool__", "__float__", "__int__")
        # Whole numbers are lengths, which lie on the CPU anyway.
        if func.__name__ in reads and args[0].is_floating_point():
            self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_values_are_read_once_for_all_pictures(float32_stage: TransformerStage) -> None:
    model = PackedTransformer(float32_stage.transformer)
    cached = [Run(picture, float32_stage) for picture in with_threshold(*(0.4,) * 5)]
    uncached = [Run(picture, float32_stage) for picture in MIXED]
    for runs, expected in ((cached, 0), (cached + uncached, 1), (cached, 1), (uncached, 0)):
        with Reads() as reads:
            predict(model, inputs_of(runs), [run.cache for run in runs])
        assert len(reads.names) == expected


@pytest.mark.parametrize("threshold", [None, NEVER_AGAIN])
def test_what_is_not_a_number_stays_with_its_picture(
    float32_stage: TransformerStage, threshold: float | None
) -> None:
    sick = replace(MIXED[1], threshold=threshold, joins_at=0, first_latent=float("nan"))
    healthy = replace(sick, first_latent=0.0)
    neighbours = with_threshold(0.4, 0.4, None, 0.45, 0.5)[2:]
    beside_sick = together(float32_stage, (neighbours[0], sick, *neighbours[1:]))
    beside_healthy = together(float32_stage, (neighbours[0], healthy, *neighbours[1:]))
    assert beside_sick[1].noise_preds[-1].isnan().all()
    assert beside_sick[1].decisions == alone(float32_stage, sick).decisions
    assert beside_healthy[1].noise_preds[-1].isfinite().all()
    for index in (0, 2, 3):
        assert beside_sick[index].decisions == beside_healthy[index].decisions
        assert torch.equal(beside_sick[index].latents, beside_healthy[index].latents)


def test_a_forward_that_fails_changes_no_cache(float32_stage: TransformerStage) -> None:
    model = PackedTransformer(float32_stage.transformer)
    runs = [Run(picture, float32_stage) for picture in with_threshold(*(ALWAYS,) * 5)]
    step(model, runs)
    kept = [run.cache.residuals for run in runs if run.cache is not None]

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    hook = float32_stage.transformer.proj_out.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        step(model, runs)
    hook.remove()
    for run, residuals in zip(runs, kept, strict=True):
        assert run.cache is not None
        assert run.cache.residuals is residuals
        assert (run.cache.num_computed, run.cache.num_skipped) == (1, 0)


def test_a_cache_holds_its_own_picture_and_nothing_holds_it(
    float32_stage: TransformerStage,
) -> None:
    model = PackedTransformer(float32_stage.transformer)
    runs = [Run(picture, float32_stage) for picture in with_threshold(*(0.4,) * 5)]
    for _ in range(3):
        step(model, runs)
    inner_dim = 32
    freed = []
    for run in runs:
        assert run.cache is not None
        assert run.cache.residuals is not None
        for residual in (run.cache.residuals.head, run.cache.residuals.tail):
            assert residual.shape == (1, run.latents.shape[1], inner_dim)
            assert residual.untyped_storage().nbytes() == residual.nbytes
            freed.append(weakref.ref(residual))
    del residual, run, runs[0]
    gc.collect()
    assert [ref() is None for ref in freed] == [True] * 2 + [False] * 8
