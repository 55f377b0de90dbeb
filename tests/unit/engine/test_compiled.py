"""After its warm-up a compiled transformer makes no graph for any batch, and predicts the same.

Most tests compile with `aot_eager`, which makes the same graphs under the same conditions as
`inductor` and needs no C++ compiler.
"""

import shutil
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from serve_app.config import EngineConfig
from serve_app.engine.adapters import ScaledAdapter
from serve_app.engine.compiled import CompiledTransformer
from serve_app.engine.engine import Engine
from serve_app.engine.runner import Runner
from serve_app.engine.transformers import Transformers
from serve_app.messages import Size
from serve_app.stages.quantization import load_quantized
from serve_app.stages.transformer import TransformerStage
from tests.unit.engine.conftest import MakeJob
from tests.unit.engine.pictures import MIXED, Picture, packed, random_adapter
from tests.unit.stages.random_flux import MAX_SEQUENCE_LENGTH

LAYOUTS = ((40,), (40, 16), (9,), (7, 5, 11))
UNSEEN = (
    (MIXED[0],),
    MIXED,
    MIXED[2:] * 3,
    (Picture(Size(256, 128), 24, 250.0, 4.5, 5),),
    # As many image tokens as text tokens.
    (Picture(Size(64, 64), 16, 750.0, 4.5, 6), Picture(Size(32, 64), 8, 3.0, 4.5, 7)),
)
# A compilation takes seconds on an idle machine, and minutes on a busy one.
pytestmark = pytest.mark.timeout(1800)

HAS_COMPILER = shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture(autouse=True, scope="module")
def _forget_graphs() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int, int]]:
    return []


@pytest.fixture(scope="module")
def compiled(
    transformer: TransformerStage, progress: list[tuple[int, int, int]]
) -> CompiledTransformer:
    compiled = CompiledTransformer(transformer.transformer, "aot_eager")
    compiled.warm_up(
        MAX_SEQUENCE_LENGTH,
        lambda done, total: progress.append((done, total, compiled.num_graphs)),
        LAYOUTS,
    )
    return compiled


def alone(make_job: MakeJob) -> torch.Tensor:
    """Return what the stock forward makes of a job."""
    job, runner = make_job(num_steps=2), Runner(Transformers())
    while not job.is_done:
        runner.step([job])
    return job.latents


def assert_same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("compiled")
def test_the_warm_up_tells_how_far_it_is(progress: list[tuple[int, int, int]]) -> None:
    # Two kinds of block, each for one picture and for several.
    assert progress == [(0, 4, 0), (1, 4, 2), (2, 4, 4), (3, 4, 4), (4, 4, 4)]


def test_no_layout_makes_a_graph_not_in_another_thread_either(
    transformer: TransformerStage, compiled: CompiledTransformer
) -> None:
    with ThreadPoolExecutor(1) as thread:
        for pictures in UNSEEN:
            found = thread.submit(packed, transformer, pictures, transformer=compiled).result()
            assert_same(found, packed(transformer, pictures))
    assert compiled.num_recompiles == 0


def test_pictures_dropped_between_two_blocks_make_no_graph(
    transformer: TransformerStage, compiled: CompiledTransformer
) -> None:
    for dropped in (frozenset({1}), frozenset({0, 2, 3})):
        found = packed(transformer, MIXED, dropped, transformer=compiled)
        assert_same(found, packed(transformer, MIXED, dropped))
    assert compiled.num_recompiles == 0


def test_a_hook_that_is_added_later_makes_no_graph(
    transformer: TransformerStage, compiled: CompiledTransformer
) -> None:
    linear = transformer.transformer.transformer_blocks[0].attn.to_q
    hook = linear.register_forward_hook(lambda module, args, output: None)
    packed(transformer, MIXED, transformer=compiled)
    hook.remove()
    packed(transformer, MIXED, transformer=compiled)
    assert compiled.num_recompiles == 0


def test_a_batch_with_adapters_has_them_and_makes_no_graph(
    transformer: TransformerStage, compiled: CompiledTransformer
) -> None:
    adapter = random_adapter(transformer, seed=1)
    adapters = [(), (ScaledAdapter(adapter, 0.5),), (), ()]
    packed(transformer, MIXED, transformer=compiled)
    found = packed(transformer, MIXED, adapters=adapters, transformer=compiled)
    expected = packed(transformer, MIXED, adapters=adapters)
    assert_same(found, expected)
    assert not torch.allclose(expected[1], packed(transformer, MIXED)[1], atol=1e-3)
    assert_same(packed(transformer, MIXED, transformer=compiled), packed(transformer, MIXED))
    assert compiled.num_recompiles == 0


def test_a_layout_that_the_warm_up_left_out_is_counted(transformer: TransformerStage) -> None:
    compiled = CompiledTransformer(transformer.transformer, "aot_eager")
    compiled.warm_up(MAX_SEQUENCE_LENGTH, layouts=[[9]])
    packed(transformer, MIXED[:1], transformer=compiled)
    assert (compiled.num_graphs, compiled.num_recompiles) == (2, 0)
    assert_same(packed(transformer, MIXED, transformer=compiled), packed(transformer, MIXED))
    assert (compiled.num_graphs, compiled.num_recompiles) == (4, 2)


def test_another_dtype_is_counted(flux_directory: Path) -> None:
    stage = TransformerStage.load(flux_directory, torch.float32, torch.device("cpu"))
    compiled = CompiledTransformer(stage.transformer, "aot_eager")
    compiled.warm_up(MAX_SEQUENCE_LENGTH, layouts=[[9]])
    stage.transformer.to(torch.bfloat16)
    packed(stage, MIXED[:1], transformer=compiled)
    assert compiled.num_recompiles == 2


def test_a_quantized_transformer_compiles_too(
    transformer: TransformerStage, flux_directory: Path
) -> None:
    int8 = load_quantized(flux_directory, "int8", torch.float32, torch.device("cpu"))
    stage = replace(transformer, transformer=int8)
    compiled = CompiledTransformer(int8, "aot_eager")
    compiled.warm_up(MAX_SEQUENCE_LENGTH, layouts=LAYOUTS[:2])
    for pictures in UNSEEN:
        assert_same(packed(stage, pictures, transformer=compiled), packed(stage, pictures))
    assert (compiled.num_graphs, compiled.num_recompiles) == (4, 0)


@pytest.mark.skipif(not HAS_COMPILER, reason="needs g++ and Python's headers")
def test_the_default_compiler_predicts_the_same(
    transformer: TransformerStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else graphs of an earlier run would be found there.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    compiled = CompiledTransformer(transformer.transformer)
    # One picture only: each graph takes half a minute.
    compiled.warm_up(MAX_SEQUENCE_LENGTH, layouts=LAYOUTS[:1])
    for picture in (*MIXED[:3], *UNSEEN[3]):
        found = packed(transformer, (picture,), transformer=compiled)
        assert_same(found, packed(transformer, (picture,)))
    assert (compiled.num_graphs, compiled.num_recompiles) == (2, 0)


def test_the_engine_counts_what_is_compiled_in_service(
    transformer: TransformerStage, make_job: MakeJob
) -> None:
    transformers = Transformers(are_compiled=True, backend="aot_eager")
    engine = Engine(transformer, EngineConfig(token_budget=1), transformers)
    latents = engine.submit(make_job(num_steps=2)).result()
    assert engine.stats().num_recompiles == 2
    transformers.warm_up([transformer, transformer], MAX_SEQUENCE_LENGTH)
    assert engine.stats().num_recompiles == 0
    torch.testing.assert_close(
        engine.submit(make_job(num_steps=2)).result(), latents, atol=1e-5, rtol=0
    )
    assert engine.stats().num_recompiles == 0
    engine.close()
    torch.testing.assert_close(latents, alone(make_job), atol=1e-5, rtol=0)
