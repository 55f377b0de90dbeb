"""The `krea-serve` command."""

from pathlib import Path
from typing import Annotated

import typer

from serve_app import keys_command
from serve_app.one_line_errors import one_line_errors

app = typer.Typer(
    help="FLUX.1 Krea [dev] behind the OpenAI images API, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # it would read "[dev]" as markup
    pretty_exceptions_enable=False,
)
app.add_typer(keys_command.app, name="keys")


@app.command()
def serve(
    config: Annotated[Path, typer.Option(help="A Serve config file.")] = Path("configs/tiny.yaml"),
    port: Annotated[int | None, typer.Option(help="HTTP port; the file's own by default.")] = None,
) -> None:
    """Serve one configuration on this machine, with a Ray of its own, until Ctrl-C."""
    # Ray and torch take seconds to import; `krea-serve --help` must not.
    from serve_app.serve_command import serve_until_interrupted

    with one_line_errors():
        serve_until_interrupted(config, port)


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="png, jpeg, webp, avif or gif file.")
    ],
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT or W:H.")] = "1024x1024",
    seed: Annotated[int | None, typer.Option(help="Random by default.")] = None,
    steps: Annotated[int, typer.Option(help="Transformer evaluations.", min=1, max=50)] = 28,
    guidance_scale: Annotated[float, typer.Option(min=0, max=20)] = 4.5,
    model: Annotated[str, typer.Option(help="A diffusers directory of FLUX.1.")] = "embedded",
) -> None:
    """Generate one picture in this process, without a server."""
    from serve_app.generate_command import generate_file

    with one_line_errors():
        generate_file(prompt, output, size, seed, steps, guidance_scale, model)


@app.command()
def plan(
    rps: Annotated[float, typer.Option(help="Requests per second, on average.")],
    mix: Annotated[
        str,
        typer.Option(help="WIDTHxHEIGHT/STEPS[*IMAGES][=WEIGHT], several divided by commas."),
    ] = "1024x1024/28",
    slo: Annotated[str, typer.Option(help="Seconds that 95 % of the requests may take.")] = "15s",
    gpu: Annotated[str, typer.Option(help="h200 or h100.")] = "h200",
) -> None:
    """Print the replicas, the cost and the latency to expect of a demand, by simulation."""
    from serve_app.plan_command import print_plan

    with one_line_errors():
        print_plan(rps, mix, slo, gpu)


@app.command("upgrade-database")
def upgrade_database(config: keys_command.ConfigOption = None) -> None:
    """Make or migrate the tables of keys and requests, before servers start that share them."""
    from serve_app.records.schema import upgrade

    with one_line_errors():
        upgrade(keys_command.read_records_config(config))
