"""How every command ends that cannot do what it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from serve_app.errors import KreaServeError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End with exit code 1 and one line, where the project itself can say what is wrong."""
    try:
        yield
    except KreaServeError as error:
        typer.echo(f"krea-serve: {error.message}", err=True)
        raise typer.Exit(1) from error
