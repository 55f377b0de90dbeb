"""Each picture of a packed batch has its own LoRAs, as if they were merged into the weights."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel

from serve_app.engine.adapters import AdaptedLayers, Adapter, PictureAdapters, ScaledAdapter
from serve_app.engine.layout import Layout
from serve_app.stages.lora_file import Factors, linear_shapes
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.pictures import MIXED, alone, packed, random_adapter
from tests.unit.stages.random_flux import WIDTH

NO_ADAPTERS: PictureAdapters = ()
FLOAT32_ATOL = 2e-6
# A change that matters moves the prediction further than this.
VISIBLE = 1e-2


def deep_flux() -> FluxTransformer2DModel:
    """Return a model that has a block of two streams behind the first block."""
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )


LINEARS = tuple(linear_shapes(deep_flux()))


@pytest.fixture(scope="module")
def stage(transformer: TransformerStage) -> TransformerStage:
    return replace(transformer, transformer=deep_flux().eval().requires_grad_(False))


def ones(layer: str) -> Adapter:
    """Return an adapter that adds 2 to what a 2x2 layer makes of ones."""
    return Adapter("ones", {layer: Factors(torch.ones(1, 2), torch.ones(2, 1))}, num_bytes=1)


def merged(stage: TransformerStage, adapters: PictureAdapters) -> TransformerStage:
    """Return a stock model whose weights contain the adapters."""
    model = deepcopy(stage.transformer)
    for scaled in adapters:
        for name, factors in scaled.adapter.factors.items():
            weight = model.get_submodule(name).weight
            change = factors.up.double() @ factors.down.double()
            weight.data = (weight.double() + scaled.scale * change).to(weight.dtype)
    return replace(stage, transformer=model)


def strengths(stage: TransformerStage) -> dict[str, PictureAdapters]:
    first, second = random_adapter(stage, 1), random_adapter(stage, 2, rank=2)
    return {
        "first": (ScaledAdapter(first, 1.0),),
        "none": NO_ADAPTERS,
        "both": (ScaledAdapter(first, -0.7), ScaledAdapter(second, 0.5)),
        "second": (ScaledAdapter(second, 1.5),),
    }


def distance(some: torch.Tensor, other: torch.Tensor) -> float:
    return float((some - other).abs().max())


def test_each_picture_has_its_own(stage: TransformerStage) -> None:
    adapters = list(strengths(stage).values())
    changed = packed(stage, MIXED, adapters=adapters)
    for picture, own, noise_pred in zip(MIXED, adapters, changed, strict=True):
        expected = alone(merged(stage, own), picture)
        torch.testing.assert_close(noise_pred, expected, atol=FLOAT32_ATOL, rtol=0)
        for other in adapters:
            if other != own:
                assert distance(noise_pred, alone(merged(stage, other), picture)) > VISIBLE


@pytest.mark.parametrize("layer", LINEARS)
def test_every_linear_can_have_one(stage: TransformerStage, layer: str) -> None:
    pictures, own = MIXED[:3], (ScaledAdapter(random_adapter(stage, 3, 4, layer), 2.0),)
    without = packed(stage, pictures)
    changed = packed(stage, pictures, adapters=[NO_ADAPTERS, own, NO_ADAPTERS])
    expected = alone(merged(stage, own), pictures[1])
    torch.testing.assert_close(changed[1], expected, atol=FLOAT32_ATOL, rtol=0)
    assert distance(changed[1], without[1]) > 1e-4
    assert torch.equal(changed[0], without[0])
    assert torch.equal(changed[2], without[2])


def test_a_picture_without_has_the_bits_of_a_batch_without(stage: TransformerStage) -> None:
    own = strengths(stage)
    adapters = [own["first"], NO_ADAPTERS, own["both"], NO_ADAPTERS]
    without, changed = packed(stage, MIXED), packed(stage, MIXED, adapters=adapters)
    for index, is_changed in enumerate([True, False, True, False]):
        assert torch.equal(changed[index], without[index]) != is_changed


def test_scale_0_is_none(stage: TransformerStage) -> None:
    off = (ScaledAdapter(random_adapter(stage, 1), 0.0),)
    without = packed(stage, MIXED)
    changed = packed(stage, MIXED, adapters=[off] * len(MIXED))
    assert all(map(torch.equal, without, changed))


def test_the_same_adapter_twice_adds_up(stage: TransformerStage) -> None:
    one = random_adapter(stage, 1)
    twice = (ScaledAdapter(one, 0.25), ScaledAdapter(one, 0.5))
    (changed,) = packed(stage, MIXED[:1], adapters=[twice])
    expected = alone(merged(stage, (ScaledAdapter(one, 0.75),)), MIXED[0])
    torch.testing.assert_close(changed, expected, atol=FLOAT32_ATOL, rtol=0)


def test_neighbours_with_the_same_adapters(stage: TransformerStage) -> None:
    own = strengths(stage)["both"]
    adapters = [own, own, NO_ADAPTERS, own]
    for picture, of_picture, noise_pred in zip(
        MIXED, adapters, packed(stage, MIXED, adapters=adapters), strict=True
    ):
        expected = alone(merged(stage, of_picture), picture)
        torch.testing.assert_close(noise_pred, expected, atol=FLOAT32_ATOL, rtol=0)


@pytest.mark.parametrize("dropped", [{0}, {1}, {0, 2}, {3}, {0, 1, 2}])
def test_pictures_dropped_between_two_blocks_take_theirs_along(
    stage: TransformerStage, dropped: set[int]
) -> None:
    adapters = list(strengths(stage).values())
    kept = [index for index in range(len(MIXED)) if index not in dropped]
    changed = packed(stage, MIXED, frozenset(dropped), adapters)
    for index, noise_pred in zip(kept, changed, strict=True):
        expected = alone(merged(stage, adapters[index]), MIXED[index])
        torch.testing.assert_close(noise_pred, expected, atol=FLOAT32_ATOL, rtol=0)


def test_in_bfloat16_it_errs_no_more_than_merged_weights_do(stage: TransformerStage) -> None:
    adapters = list(strengths(stage).values())
    half = replace(stage, transformer=deepcopy(stage.transformer).to(torch.bfloat16))
    half_adapters = list(strengths(half).values())
    changed = packed(half, MIXED, adapters=half_adapters)
    for index, picture in enumerate(MIXED):
        exact = alone(merged(stage, adapters[index]), picture)
        by_merging = alone(merged(half, half_adapters[index]), picture).float()
        error = (changed[index].float() - exact).square().mean().sqrt()
        assert error < 1.5 * (by_merging - exact).square().mean().sqrt()


def test_the_stock_model_is_unchanged_before_and_after(stage: TransformerStage) -> None:
    fresh = replace(stage, transformer=deepcopy(stage.transformer))
    before, weights = alone(fresh, MIXED[0]), deepcopy(fresh.transformer.state_dict())
    packed(fresh, MIXED[:1], adapters=[strengths(stage)["first"]])
    assert torch.equal(alone(fresh, MIXED[0]), before)
    after = fresh.transformer.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in weights.items())


def test_a_forward_that_fails_leaves_no_adapters_behind() -> None:
    linear = torch.nn.Linear(2, 2)
    model = torch.nn.ModuleDict({"x_embedder": linear})
    layout = Layout.of([1], [3], torch.device("cpu"))
    own = (ScaledAdapter(ones("x_embedder"), 1.0),)
    tokens, layers = torch.ones(1, 3, 2), AdaptedLayers(model)
    seen = []

    def fail_after_a_forward() -> None:
        with layers.applied(layout, [own]):
            seen.append(linear(tokens))
            raise ZeroDivisionError

    with torch.no_grad():
        plain = linear(tokens)
        with pytest.raises(ZeroDivisionError):
            fail_after_a_forward()
        assert torch.equal(seen[0], plain + 2)
        assert torch.equal(linear(tokens), plain)


def test_compiled_layers_have_them_too() -> None:
    linear = torch.nn.Linear(2, 2)
    model = torch.nn.ModuleDict({"x_embedder": linear})
    layout = Layout.of([1], [3], torch.device("cpu"))
    own = (ScaledAdapter(ones("x_embedder"), 1.0),)
    tokens, layers, graphs = torch.ones(1, 3, 2), AdaptedLayers(model), []

    def backend(graph: torch.fx.GraphModule, _inputs: list[torch.Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda given: linear(given), backend=backend)
    with torch.no_grad():
        plain = linear(tokens)
        assert torch.equal(compiled(tokens), plain)
        with layers.applied(layout, [own]):
            assert torch.equal(compiled(tokens), plain + 2)
        assert torch.equal(compiled(tokens), plain)
    assert len(graphs) == 1
