"""`krea-serve generate`: one picture into a file, in this process."""

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from serve_app.api.request.sizes import SizeFields, canvas_of, output_size
from serve_app.api.values.size_grammar import PixelsOrRatio
from serve_app.config import ApiConfig, ModelConfig, ProvenanceConfig
from serve_app.errors import ConfigError
from serve_app.imaging.fit import fit
from serve_app.imaging.metadata import Origin
from serve_app.imaging.provenance import Provenance
from serve_app.messages import OutputFormat, Size
from serve_app.model_facts import MODEL_ID, read_model_facts
from serve_app.weight_files import check_weight_files

FORMATS: dict[str, OutputFormat] = {
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "webp": "webp",
    "avif": "avif",
    "gif": "gif",
}
BEST_QUALITY = 100

# diffusers imports torchao wherever there is one, which looks for kernels of other machines.
TALKATIVE = (
    "torchao",
    "torch.utils._pytree",
    "diffusers.quantizers.torchao.torchao_quantizer",
)

console = Console(stderr=True, highlight=False)


def generate_file(
    prompt: str,
    output: Path,
    size: str,
    seed: int | None,
    num_inference_steps: int,
    guidance_scale: float,
    model_path: str,
) -> None:
    """Write the picture that `prompt` describes to `output`.

    Raises:
        KreaServeError: An argument or the model is wrong; the message is one line.
    """
    output_format = format_of(output)
    model = ModelConfig(path=model_path)
    facts = read_model_facts(model.directory)
    check_weight_files(model.directory)
    delivered = parse_size(size)
    canvas = canvas_of(delivered, facts.canvas_multiple)
    chosen_seed = secrets.randbelow(2**32) if seed is None else seed

    # Torch takes seconds to import; what is wrong with the arguments must not wait for it.
    silence_imports()
    from serve_app.local_pipeline import LocalPipeline
    from serve_app.stages.device import place

    with LocalPipeline.load(model.directory, *place(model)) as pipeline, step_bar() as on_step:
        pixels = pipeline.generate(
            prompt, canvas, chosen_seed, num_inference_steps, guidance_scale, on_step
        )
    origin = Origin(MODEL_ID, chosen_seed)
    provenance = Provenance.open(ProvenanceConfig())
    picture = fit(pixels.array, delivered)
    output.write_bytes(provenance.file_of(picture, output_format, BEST_QUALITY, origin))
    console.print(f"{output}: {delivered}, seed {chosen_seed}")


def silence_imports() -> None:
    """Keep to themselves what libraries say of each other while they are imported."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def format_of(output: Path) -> OutputFormat:
    """Return the format that a file's name asks for.

    Raises:
        ConfigError: None that we write.
    """
    try:
        return FORMATS[output.suffix.lower().removeprefix(".")]
    except KeyError:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise ConfigError(f"cannot tell the format of {output}: use one of {known}") from None


def parse_size(text: str) -> Size:
    """Return the size that `--size` asks for, read as the API reads `size`."""
    grammar = PixelsOrRatio(ApiConfig().max_side_px)
    return output_size(SizeFields(size=grammar.read("size", text)))


@contextmanager
def step_bar() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields what is to be told the steps done and the steps in all."""
    columns = (TextColumn("denoising"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("denoising", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
