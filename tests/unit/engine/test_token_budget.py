"""The budget is where a step's overhead is a twentieth of it."""

import pytest

from serve_app.engine.cost_model import CostModel
from serve_app.engine.packed import PackedTransformer
from serve_app.engine.token_budget import measure_token_budget, token_budget_of
from serve_app.stages.transformer import TransformerStage


def test_at_the_budget_the_overhead_is_a_twentieth() -> None:
    model = CostModel(s_per_flop=2.0, overhead_s=10.0)
    budget = token_budget_of(model, flops_per_token=0.5)
    step_s = model.overhead_s + budget * 0.5 * 2.0
    assert model.overhead_s / step_s == pytest.approx(0.05, rel=0.01)


def test_without_overhead_nothing_is_gained_by_sharing() -> None:
    assert token_budget_of(CostModel(s_per_flop=1.0), flops_per_token=1.0) == 1


def test_it_is_measured_on_the_model_and_teaches_the_cost_model(
    transformer: TransformerStage,
) -> None:
    model = CostModel(s_per_flop=1.0)
    budget = measure_token_budget(transformer, PackedTransformer(transformer.transformer), model)
    # Of so small a model nearly everything is overhead: a picture of 6 + 24 tokens fits many times.
    assert budget > 300
    assert 0 < model.s_per_flop < 1e-6
    assert 0 < model.overhead_s < 1
