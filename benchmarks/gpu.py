"""How far each part of FLUX.1 is from what its GPU can do: random weights, no Ray, no download.

    python -m benchmarks.gpu --out gpu.md

Text encoders, VAE and denoising steps, the latter in every way the engine can run them, and
steps of several pictures one by one and in one forward. "Bound" is the time of the arithmetic at
`--tflops`, an assumption: 790 is what others measured of an H200; in fp8 the blocks' linear layers
take half. A step that the cache skips does little of that arithmetic. "GiB" is what weights take,
or what a part needs beyond everything that lies there before it. What is compared takes turns, a
round being A B C C B A; shown are medians.

It is made for one H200 and ten minutes, and has not run on a GPU so far: no figure of one exists.
What has run is `--tiny`, the embedded model's form on a CPU, which shows that the benchmark works
and says nothing of a GPU.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.bounds import H200_TFLOPS
from benchmarks.conditions import Conditions
from benchmarks.denoisers import Denoisers
from benchmarks.random_models import embedded, full_size
from benchmarks.rows import Row, markdown
from benchmarks.stage_rows import stage_rows
from benchmarks.step_rows import MIXED_SIDES_PX, mixed_rows, step_rows, weights_rows


def main(arguments: list[str]) -> None:
    """Measure everything, print the table, and write it where it is wanted."""
    options = parsed(arguments)
    conditions = conditions_of(options)
    torch.manual_seed(0)
    rows: list[Row] = []
    for row in all_rows(conditions):
        rows.append(row)
        sys.stderr.write(f"{row.part} {row.pixels} {row.how}\n")
        if options.out:
            # After each, so that a run that is cut short leaves what it has.
            options.out.write_text(document(conditions, rows))
    sys.stdout.write(document(conditions, rows))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a command line, or end with one line that says what is wrong."""
    parser = argparse.ArgumentParser(
        prog="gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="the embedded model's form, on a CPU")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024, 2048], metavar="PX")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=4, help="of a work in one turn")
    parser.add_argument("--tflops", type=float, help=f"for the bounds; {H200_TFLOPS:.0f} on a GPU")
    parser.add_argument("--no-compile", action="store_true", help="save the time of compiling")
    parser.add_argument("--out", type=Path, help="write the table here")
    options = parser.parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        parser.error("it needs a GPU; --tiny runs on a CPU")
    multiple = embedded().canvas_multiple if options.tiny else full_size().canvas_multiple
    if any(side < multiple or side % multiple for side in options.sides):
        parser.error(f"--sides must be multiples of {multiple}, got {options.sides}")
    return options


def conditions_of(options: argparse.Namespace) -> Conditions:
    """Return what is measured, and where."""
    return Conditions(
        family=embedded() if options.tiny else full_size(),
        dtype=torch.float32 if options.tiny else torch.bfloat16,
        device=torch.device("cpu" if options.tiny else "cuda"),
        sides_px=options.sides,
        num_rounds=options.rounds,
        num_repeats=options.repeats,
        tflops=options.tflops or (None if options.tiny else H200_TFLOPS),
        is_compiled=not options.no_compile,
    )


def all_rows(conditions: Conditions) -> Iterator[Row]:
    """Yield every line, as it is measured."""
    yield from stage_rows(conditions)
    denoisers = Denoisers.make(conditions)
    yield from weights_rows(conditions, denoisers)
    for side_px in conditions.sides_px:
        yield from step_rows(conditions, denoisers, side_px)
    for sides_px in MIXED_SIDES_PX:
        yield from mixed_rows(conditions, denoisers, sides_px)
    if conditions.is_compiled:
        yield Row(f"{denoisers.num_recompiles} graphs made after the warm-up", "", "")


def document(conditions: Conditions, rows: list[Row]) -> str:
    """Return the table under a line that says what it was measured on."""
    device = conditions.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}"
        for package in ("torch", "diffusers", "torchao")
    )
    bound = "no bounds" if conditions.tflops is None else f"bounds at {conditions.tflops:g} TFLOP/s"
    return f"{name}; {versions}; {bound}\n\n{markdown(rows)}"


if __name__ == "__main__":
    main(sys.argv[1:])
