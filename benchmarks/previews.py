"""How much later a picture is there when its request asks for previews.

    python -m benchmarks.previews [--side 512] [--rounds 5]

The Denoiser and the Vae of the embedded model, in one process without Ray and with one thread of
arithmetic each. The same picture is made in turns, there and back: without previews, with previews
that nobody decodes (what the denoiser itself pays for them: one more Euler step each, and a copy),
and with previews decoded by the VAE or by the linear map beside the denoising. Shown are medians
of the ratio to the same turn without previews: until the last latents, until the picture is
decoded, and of the processor time of it all, which a busy machine disturbs least. Both stages share
a process and a machine here, so what the decoder takes of its cores and of Python's lock counts in
full, and more where others leave no core free; where each has a device of its own it does not. What
comes before the denoiser, after the Vae and between replicas is not measured.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from serve_app.config import EngineConfig, ModelConfig
from serve_app.deployments.denoiser import Denoiser
from serve_app.deployments.text_encoder import TextEncoder
from serve_app.deployments.vae import Vae
from serve_app.messages import DenoiseParams, Latents, Pixels, PromptEmbeds, Size

PROMPT = "a large red circle on the left on a blue background"
MODEL = ModelConfig(device="cpu", num_threads=1)
GOAL = 1.03  # of the seconds until the picture is decoded, as a multiple of those without previews


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make the picture.

    Attributes:
        name: For the table.
        num_previews: Asked for.
        vae: That decodes the picture.
        preview_vae: That decodes the previews; None: nobody does.
    """

    name: str
    num_previews: int
    vae: Vae
    preview_vae: Vae | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """From the call of the denoiser, in seconds.

    Attributes:
        latents_s: Until the last latents.
        picture_s: Until the picture is decoded.
        processor_s: Of the whole process, until its previews are decoded too.
    """

    latents_s: float
    picture_s: float
    processor_s: float


class Stages:
    """What makes the pictures."""

    def __init__(self, canvas: Size, num_steps: int) -> None:
        self._canvas, self._num_steps = canvas, num_steps
        self._denoiser = Denoiser(MODEL, EngineConfig(token_budget=1))
        self._embeds: PromptEmbeds = asyncio.run(TextEncoder(MODEL).encode(PROMPT))

    async def take(self, way: Way) -> Taken:
        """Make the picture; what is left of its previews is awaited outside of the time."""
        params = DenoiseParams(
            "benchmark", 0, self._canvas, 7, self._num_steps, 4.5, num_previews=way.num_previews
        )
        previews: list[asyncio.Task[Pixels]] = []
        start, processor_start = time.perf_counter(), time.process_time()
        async with aclosing(self._denoiser.denoise_stream(self._embeds, params)) as stream:
            async for latents in stream:
                if latents.is_preview and way.preview_vae is not None:
                    previews.append(asyncio.create_task(way.preview_vae.decode(latents)))
                last: Latents = latents
        latents_s = time.perf_counter() - start
        await way.vae.decode(last)
        picture_s = time.perf_counter() - start
        await asyncio.gather(*previews)
        return Taken(latents_s, picture_s, time.process_time() - processor_start)


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="previews", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--previews", type=int, default=3)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--side", type=int, default=512, help="of the picture, in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="each of two turns per way")
    options = parser.parse_args(arguments)
    vae, linear = Vae(MODEL), Vae(MODEL.model_copy(update={"previews": "linear"}))
    num_previews = options.previews
    ways = [
        Way("no previews", 0, vae),
        Way(f"{num_previews}, not decoded", num_previews, vae),
        Way(f"{num_previews}, by the VAE", num_previews, vae, vae),
        Way(f"{num_previews}, by the map", num_previews, linear, linear),
    ]
    stages = Stages(Size(options.side, options.side), options.steps)
    console = Console(width=110, highlight=False)
    console.print(table(ways, asyncio.run(in_turns(stages, ways, options.rounds))))
    console.print(f"goal: picture, ratio <= {GOAL}")
    console.print(
        f"{options.side}x{options.side}, {options.steps} steps, {2 * options.rounds} turns of each;"
        f" load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


async def in_turns(stages: Stages, ways: Sequence[Way], num_rounds: int) -> list[list[Taken]]:
    """Return what each way took, by turn; each goes once before, unmeasured."""
    for way in ways:
        await stages.take(way)
    taken: list[list[Taken]] = [[] for _ in ways]
    for turn in range(2 * num_rounds):
        order = range(len(ways)) if turn % 2 == 0 else reversed(range(len(ways)))
        for index in order:
            taken[index].append(await stages.take(ways[index]))
    return taken


def table(ways: Sequence[Way], taken: Sequence[Sequence[Taken]]) -> Table:
    """Return the ratios to the first way, in the same turn: median, lower and upper quartile."""
    shown = Table("previews", "picture, s", "latents, ratio", "picture, ratio", "processor, ratio")
    for way, own in zip(ways, taken, strict=True):
        turns = list(zip(own, taken[0], strict=True))
        shown.add_row(
            way.name,
            f"{median(one.picture_s for one in own):.2f}",
            _quartiles([one.latents_s / first.latents_s for one, first in turns]),
            _quartiles([one.picture_s / first.picture_s for one, first in turns]),
            _quartiles([one.processor_s / first.processor_s for one, first in turns]),
        )
    return shown


def _quartiles(ratios: Sequence[float]) -> str:
    lower, middle, upper = quantiles(ratios, n=4)
    return f"{middle:.3f} ({lower:.3f} to {upper:.3f})"


if __name__ == "__main__":
    main(sys.argv[1:])
