"""`krea-serve serve`: start, say so, wait, stop."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from serve_app.config import api_key
from serve_app.local_cluster import (
    ReplicaCounts,
    check_port,
    deployed,
    local_ray,
    metrics_url,
    read_config,
    start_progress,
)

EXAMPLE_PROMPT = "a large red circle on a blue background"
SIGNALS = (signal.SIGINT, signal.SIGTERM)

console = Console(stderr=True, highlight=False)


def serve_until_interrupted(config: Path, port: int | None) -> None:
    """Serve one config file until SIGINT or SIGTERM; a second one does not wait for requests.

    Raises:
        StartError: It cannot be served; the message is one line.
    """
    schema = read_config(config, port)
    options = schema.http_options
    check_port(options.host, options.port)
    try:
        interrupt_on_signals()
        console.print(f"krea-serve: starting {config} (Ctrl-C stops it)")
        with local_ray():
            interrupt_on_signals()  # again: `ray.init` installs a SIGTERM handler of its own
            with deployed(schema):
                show_start(start_progress(schema.applications[0].name))
                print_ready(f"http://{options.host}:{options.port}", metrics_url())
                threading.Event().wait()
    except KeyboardInterrupt:
        console.print("krea-serve: stopped")


def interrupt_on_signals() -> None:
    """Make the next two signals a KeyboardInterrupt, and ignore what follows while we clean up."""
    messages = ["stopping at once", "stopping; Ctrl-C again does not wait for requests"]

    def interrupt(signum: int, frame: FrameType | None) -> None:
        if messages:
            console.print(f"krea-serve: {messages.pop()}")
            raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupt)


def show_start(states: Iterator[ReplicaCounts]) -> None:
    """Show how many replicas of every deployment run, until all do."""
    with Live(console=console, transient=True, refresh_per_second=8) as live:
        for counts in states:
            live.update(replica_table(counts))


def replica_table(counts: ReplicaCounts) -> Table:
    """Return one line per deployment."""
    table = Table.grid(padding=(0, 2))
    for name, (running, wanted) in counts.items():
        mark = "[green]ready[/]" if running == wanted else "starting"
        table.add_row(f"  {name}", f"{running}/{wanted}", mark)
    return table


def print_ready(url: str, metrics: str) -> None:
    """Print where to go, and a line that works as it is."""
    body = json.dumps({"prompt": EXAMPLE_PROMPT, "size": "512x512"})
    key = ' -H "Authorization: Bearer $KREA_SERVE_API_KEY"' if api_key() else ""
    console.print(f"krea-serve: ready at [bold]{url}[/]")
    console.print(f"  playground  {url}/playground")
    console.print(f"  metrics     {metrics}")
    console.print("  try it", end="")
    console.print(
        f"      curl -s {url}/v1/images/generations{key}"
        f" -H 'Content-Type: application/json' -d '{body}'",
        markup=False,
        soft_wrap=True,
    )
