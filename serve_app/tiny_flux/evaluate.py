"""How often is the picture right? Held-out plain sentences, drawn and judged.

    python -m serve_app.tiny_flux.evaluate --prompts 200 --sheet docs/tiny-flux-samples.png

Prompts are combinations of attributes that training never saw, and seeds start at EVALUATION_SEED.
"""

import argparse
import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from serve_app.config import ModelConfig
from serve_app.local_pipeline import LocalPipeline
from serve_app.messages import Size
from serve_app.stages.device import place
from serve_app.tiny_flux.export import WEIGHTS
from serve_app.tiny_flux.judge import Verdict, judge
from serve_app.tiny_flux.language import Scene, all_scenes, caption, is_held_out
from serve_app.tiny_flux.pictures import Pixels

SIZES = ((256, 256), (512, 512), (1024, 1024), (1408, 768), (768, 1408), (1600, 704))
EVALUATION_SEED = 1_000_000
GUIDANCE_SCALE = 4.5
TILE_PX = 220
CAPTION_PX = 30


def held_out_prompts(count: int) -> list[tuple[Scene, str]]:
    """Return scenes that training never saw, each with one of its sentences."""
    scenes = [scene for scene in all_scenes() if is_held_out(scene)]
    rng = random.Random(EVALUATION_SEED)
    return [(scene, caption(scene, rng)) for scene in rng.choices(scenes, k=count)]


def evaluate(
    pipeline: LocalPipeline, size: Size, num_prompts: int, num_inference_steps: int
) -> Iterator[tuple[str, Pixels, Verdict]]:
    """Yield prompt, picture and verdict, one by one."""
    for index, (scene, prompt) in enumerate(held_out_prompts(num_prompts)):
        seed = EVALUATION_SEED + index
        picture = pipeline.generate(prompt, size, seed, num_inference_steps, GUIDANCE_SCALE).array
        yield prompt, picture, judge(picture, scene)


def weights_sha256(model: Path) -> str:
    """Return what tells one set of weights from another: a hash of all its safetensors files."""
    digest = hashlib.sha256()
    for file in sorted(model.rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def shares(verdicts: list[Verdict]) -> dict[str, float]:
    """Return how often each attribute, and all of them together, was right."""
    right: Counter[str] = Counter()
    for verdict in verdicts:
        right.update(name for name, value in asdict(verdict).items() if value)
        right["all"] += verdict.is_right
    names = ("background", "color", "shape", "position", "all")
    return {name: round(right[name] / len(verdicts), 3) for name in names}


def contact_sheet(drawn: list[tuple[str, Pixels, Verdict]], columns: int) -> Image.Image:
    """Return pictures side by side over their prompts, in red where the judge says no."""
    rows = -(-len(drawn) // columns)
    sheet = Image.new("RGB", (columns * TILE_PX, rows * (TILE_PX + CAPTION_PX)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (prompt, picture, verdict) in enumerate(drawn):
        left, top = index % columns * TILE_PX, index // columns * (TILE_PX + CAPTION_PX)
        tile = Image.fromarray(np.asarray(picture))
        tile.thumbnail((TILE_PX - 6, TILE_PX - 6))
        sheet.paste(tile, (left + 3, top + TILE_PX - 3 - tile.height))
        words = prompt.split()
        half = (len(words) + 1) // 2
        text = " ".join(words[:half]) + "\n" + " ".join(words[half:])
        pen.text((left + 4, top + TILE_PX), text, "black" if verdict.is_right else "red", spacing=1)
    return sheet


def main(arguments: list[str]) -> None:
    """Evaluate the shipped or another model, as the command line says."""
    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--sizes", nargs="*", help="WIDTHxHEIGHT; the six served shapes by default")
    parser.add_argument("--record", type=Path, help="write the figures here")
    parser.add_argument("--sheet", type=Path, help="write the first pictures of each size here")
    options = parser.parse_args(arguments)
    sizes = [tuple(map(int, size.split("x"))) for size in options.sizes or ()] or SIZES
    figures, shown = {}, []
    with LocalPipeline.load(options.model, *place(ModelConfig(device="cpu"))) as pipeline:
        for width, height in sizes:
            start = time.monotonic()
            size = Size(width, height)
            drawn = list(evaluate(pipeline, size, options.prompts, options.steps))
            figures[str(size)] = shares([verdict for _, _, verdict in drawn])
            seconds = (time.monotonic() - start) / len(drawn)
            sys.stdout.write(f"{size} {figures[str(size)]} {seconds:.2f} s each\n")
            sys.stdout.flush()
            shown += drawn[:6]
    if options.record:
        conditions = {
            "weights_sha256": weights_sha256(options.model),
            "prompts": options.prompts,
            "steps": options.steps,
            "seed": EVALUATION_SEED,
        }
        options.record.write_text(json.dumps(conditions | {"right": figures}, indent=2) + "\n")
    if options.sheet:
        contact_sheet(shown, columns=6).save(options.sheet)


if __name__ == "__main__":
    main(sys.argv[1:])
