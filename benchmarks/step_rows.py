"""Lines of the denoiser: one step of one picture in every way, and of several pictures at once."""

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks.bounds import step_flops
from benchmarks.conditions import Conditions
from benchmarks.denoisers import Denoisers, Predict, cached, inputs_of, predict
from benchmarks.rows import Row
from benchmarks.turns import Work
from serve_app.engine.packed import PackedTransformer
from serve_app.stages.quantization import weights_bytes

# Where packing should gain much, something, and nothing.
MIXED_SIDES_PX = ((256,) * 8, (512,) * 4, (512, 512, 1024))


def weights_rows(conditions: Conditions, denoisers: Denoisers) -> Iterator[Row]:
    """Yield the size of the transformer."""
    dtype = str(conditions.dtype).removeprefix("torch.")
    for how, model in ((dtype, denoisers.exact), (denoisers.scheme, denoisers.eight_bit)):
        yield Row("transformer, weights", "", how, held_bytes=weights_bytes(model))


def step_rows(conditions: Conditions, denoisers: Denoisers, side_px: int) -> Iterator[Row]:
    """Yield each way of running one step of one picture."""
    inputs = inputs_of(conditions, denoisers.exact, [side_px])
    ways = _ways(conditions, denoisers)
    measured = conditions.measure({how: partial(run, inputs) for how, run in ways.items()})
    for how in ways:
        bound_s = _bound_s(conditions, denoisers, [side_px], is_fp8=how.startswith("fp8"))
        yield Row("step", f"{side_px}²", how, measured.get(how), bound_s)


def mixed_rows(
    conditions: Conditions, denoisers: Denoisers, sides_px: Sequence[int]
) -> Iterator[Row]:
    """Yield one step of each of several pictures: one by one, and in one forward."""
    together = inputs_of(conditions, denoisers.exact, sides_px)
    alone = [inputs_of(conditions, denoisers.exact, [side_px]) for side_px in sides_px]

    def one_by_one() -> None:
        for inputs in alone:
            predict(denoisers.fast, inputs)

    works: dict[str, Work] = {
        "one by one": one_by_one,
        "packed": partial(predict, denoisers.fast, together),
    }
    measured = conditions.measure(works)
    bound_s = _bound_s(conditions, denoisers, sides_px)
    for how in works:
        yield Row("step of each", _shown(sides_px), how, measured.get(how), bound_s)


def _ways(conditions: Conditions, denoisers: Denoisers) -> dict[str, Predict]:
    suffix = ", compiled" if conditions.is_compiled else ""
    ways: dict[str, Predict] = {
        "diffusers, eager": denoisers.stock,
        "packed, eager": partial(predict, PackedTransformer(denoisers.exact)),
    }
    if conditions.is_compiled:
        ways["packed, compiled"] = partial(predict, denoisers.fast)
    ways[f"{denoisers.scheme}{suffix}"] = partial(predict, denoisers.fast_eight_bit)
    for how, run in cached(denoisers.fast).items():
        ways[f"cache{suffix}: {how}"] = run
    return ways


def _bound_s(
    conditions: Conditions, denoisers: Denoisers, sides_px: Sequence[int], is_fp8: bool = False
) -> float | None:
    if conditions.tflops is None:
        return None
    lengths = [conditions.side_tokens(side_px) ** 2 for side_px in sides_px]
    flops = step_flops(denoisers.exact.config, conditions.family.text_length, lengths)
    return flops.bound_s(conditions.tflops, is_fp8)


def _shown(sides_px: Sequence[int]) -> str:
    counts = {side_px: sides_px.count(side_px) for side_px in sides_px}
    return " + ".join(f"{count} x {side_px}²" for side_px, count in counts.items())
