"""Our PNG encoder beside others, in one run: what else the machine does slows all of them.

    python -m benchmarks.png [PICTURE…]

In each round the encoders take turns at a picture; shown are the processor time of the fastest and
of the median round and the file's size, each also as a multiple of ours. The pictures are made
here, as far from each other as pictures are; files named on the command line come on top. OpenCV
is one of the others where it is installed.
"""

import argparse
import importlib
import importlib.util
import io
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from serve_app.imaging.png import encode_png

OURS = "ours"
NUM_ROUNDS = 9

Encoder = Callable[[np.ndarray], bytes]


def main(arguments: list[str]) -> None:
    """Print one table for each picture."""
    parser = argparse.ArgumentParser(
        prog="png", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="PICTURE")
    parser.add_argument("--side", type=int, default=1024, help="of the made pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    options = parser.parse_args(arguments)
    pictures = dict(made_pictures(options.side)) | {
        file.name: np.asarray(Image.open(file).convert("RGB")) for file in options.files
    }
    encoders = dict(all_encoders())
    console = Console()
    for name, picture in pictures.items():
        console.print(table(name, picture, encoders, options.rounds))


def table(name: str, picture: np.ndarray, encoders: dict[str, Encoder], num_rounds: int) -> Table:
    """Return the table of one picture."""
    sizes = {key: len(checked(encode, picture)) for key, encode in encoders.items()}
    times_s = timed(encoders, picture, num_rounds)
    shown = Table(title=f"{name}, {picture.shape[1]}x{picture.shape[0]}", title_justify="left")
    for heading in ("", "fastest", "", "median", "", "size", ""):
        shown.add_column(heading, justify="right" if shown.columns else "left")
    for key in encoders:
        cells: list[str] = []
        for statistic in (min, median):
            duration_s = statistic(times_s[key])
            cells += [f"{duration_s * 1000:.0f} ms", f"{duration_s / statistic(times_s[OURS]):.2f}"]
        cells += [f"{sizes[key] / 1000:.0f} kB", f"{sizes[key] / sizes[OURS]:.2f}"]
        shown.add_row(key, *cells)
    return shown


def timed(
    encoders: dict[str, Encoder], picture: np.ndarray, num_rounds: int
) -> dict[str, list[float]]:
    """Return each encoder's processor time, in seconds, for each round."""
    times_s: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(num_rounds):
        for name, encode in encoders.items():
            start = time.process_time()
            encode(picture)
            times_s[name].append(time.process_time() - start)
    return times_s


def checked(encode: Encoder, picture: np.ndarray) -> bytes:
    """Return the file of a picture, which must hold that very picture."""
    content = encode(picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), picture)
    return content


def all_encoders() -> Iterator[tuple[str, Encoder]]:
    """Yield each encoder under a name; Pillow's have its level in it."""
    yield OURS, lambda picture: encode_png(picture, {})
    yield "Pillow 1, run lengths", pillow(compress_level=1, compress_type=zlib.Z_RLE)
    yield "Pillow 1", pillow(compress_level=1)
    yield "Pillow 6", pillow(compress_level=6)
    if importlib.util.find_spec("cv2"):
        yield "OpenCV", opencv()


def pillow(**options: int) -> Encoder:
    """Return Pillow's encoder."""

    def encode(picture: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "png", **options)
        return file.getvalue()

    return encode


def opencv() -> Encoder:
    """Return OpenCV's encoder, at its own level 1 with run lengths; it wants blue first."""
    cv2 = importlib.import_module("cv2")

    def encode(picture: np.ndarray) -> bytes:
        content: bytes = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
        return content

    return encode


def made_pictures(side: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield pictures under their names."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] / side
    yield "photograph", as_pixels(natural(side, 1.2) + rng.normal(0, 1, (side, side, 3)))
    yield "smooth photograph", as_pixels(natural(side, 1.6) + rng.normal(0, 0.3, (side, side, 3)))
    yield "gradient", as_pixels(np.stack([rows, columns, (rows + columns) / 2], axis=-1) * 255)
    poster = np.full((side, side, 3), (240.0, 240.0, 230.0))
    poster[np.hypot(rows - 0.6, columns - 0.4) < 0.2] = (200, 20, 20)
    yield "poster", as_pixels(poster)
    yield "noise", rng.integers(0, 256, (side, side, 3), np.uint8)


def natural(side: int, slope: float) -> np.ndarray:
    """Return levels whose detail fades with its frequency, as that of photographs does."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    waves = rng.normal(size=(3, *frequency.shape)) + 1j * rng.normal(size=(3, *frequency.shape))
    levels = np.fft.irfft2(waves / frequency**slope, (side, side))
    levels /= levels.std(axis=(1, 2), keepdims=True)
    # Colours differ less than brightness does.
    return np.moveaxis(128 + 45 * (0.35 * levels + 0.85 * levels[:1]), 0, -1)


def as_pixels(levels: np.ndarray) -> np.ndarray:
    """Return levels as bytes."""
    return levels.clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    main(sys.argv[1:])
