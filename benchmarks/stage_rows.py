"""Lines of what runs once per picture: T5, CLIP and the VAE's decoder."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.conditions import Conditions
from benchmarks.random_models import counted_flops, make
from benchmarks.rows import Row
from benchmarks.turns import Work
from serve_app.stages.quantization import weights_bytes

CLIP_TOKENS = 77

Run = Callable[[Any], object]


@torch.no_grad()
def stage_rows(conditions: Conditions) -> Iterator[Row]:
    """Yield the weights and the time of each stage but the denoiser."""
    family, how = conditions.family, str(conditions.dtype).removeprefix("torch.")
    models: dict[str, torch.nn.Module] = {}
    for part, build in (("T5", family.t5), ("CLIP", family.clip), ("VAE", family.vae)):
        models[part] = make(build, conditions.dtype, conditions.device)
        yield Row(f"{part}, weights", "", how, held_bytes=weights_bytes(models[part]))
    runs = {
        ("T5", ""): _encode(family.text_length),
        ("CLIP", ""): _encode(CLIP_TOKENS),
        **{("VAE", f"{side_px}²"): _decode(conditions, side_px) for side_px in conditions.sides_px},
    }
    measured = conditions.measure(
        {f"{part} {pixels}": _work(run, models[part]) for (part, pixels), run in runs.items()}
    )
    builds: dict[str, Callable[[], torch.nn.Module]] = {
        "T5": family.t5,
        "CLIP": family.clip,
        "VAE": family.vae,
    }
    for (part, pixels), run in runs.items():
        yield Row(
            part,
            pixels,
            how,
            measured.get(f"{part} {pixels}"),
            conditions.tflops and counted_flops(builds[part], run) / (conditions.tflops * 1e12),
        )


def _work(run: Run, model: torch.nn.Module) -> Work:
    return lambda: run(model)


def _encode(num_tokens: int) -> Run:
    return lambda model: model(torch.ones(1, num_tokens, dtype=torch.long, device=model.device))


def _decode(conditions: Conditions, side_px: int) -> Run:
    def decode(vae: Any) -> object:
        side = 2 * conditions.side_tokens(side_px)
        shape = (1, vae.config["latent_channels"], side, side)
        return vae.decode(torch.zeros(shape, dtype=vae.dtype, device=vae.device))

    return decode
