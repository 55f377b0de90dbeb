"""The budget is measured on the model that will run."""

from serve_app.engine.cost_model import CostModel
from serve_app.engine.packed import PackedTransformer
from serve_app.engine.token_budget import measure_token_budget
from serve_app.stages.transformer import TransformerStage


def test_it_is_measured_on_the_model_and_teaches_the_cost_model(
    transformer: TransformerStage,
) -> None:
    model = CostModel(s_per_flop=1.0)
    budget = measure_token_budget(transformer, PackedTransformer(transformer.transformer), model)
    # Of so small a model nearly everything is overhead: a picture of 6 + 24 tokens fits many times.
    assert budget > 300
    assert 0 < model.s_per_flop < 1e-6
    assert 0 < model.overhead_s < 1
