"""`krea-serve plan`: what a demand would need, and what that would cost."""

from rich.console import Console
from rich.table import Table

from serve_app.planning.capacity import MAX_ONGOING, MOST_BUSY, Demand, Plan, plan
from serve_app.planning.machine import Machine
from serve_app.planning.words import machine_of, mix_of, rate_of, seconds_of


def print_plan(rps: float, mix: str, slo: str, gpu: str) -> None:
    """Print the replicas, the cost and the expected latency of a demand, and what they rest on.

    Raises:
        ConfigError: What was typed is wrong, or cannot be had; the message is one line.
    """
    machine = machine_of(gpu)
    demand = Demand(rate_of(rps), mix_of(mix), seconds_of(slo))
    found = plan(demand, machine)
    console = Console(highlight=False, width=100)
    console.print(replica_table(found))
    console.print(f"GPUs                {found.num_gpus:.2f} {machine.name}")
    console.print(f"denoisers busy      {found.denoisers_busy:.0%}")
    console.print(f"cost per picture    ${found.usd_per_image:.5f}")
    console.print(f"expected p95        {found.p95_s:.1f} s (asked for: {demand.slo_s:g} s)")
    console.print(f"\n{assumptions(machine)}", soft_wrap=True)


def replica_table(found: Plan) -> Table:
    """Return one line per stage."""
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "replicas", "GPU each", "cores each"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    replicas = found.replicas
    table.add_row("TextEncoder", str(replicas.text_encoder), f"{found.text_encoder_gpu:.2f}", "1")
    table.add_row("Denoiser", str(replicas.denoiser), "1.00", "1")
    table.add_row("Vae", str(replicas.vae), f"{found.vae_gpu:.2f}", "1")
    table.add_row("ImageWriter", str(replicas.image_writer), "-", "1")
    return table


def assumptions(machine: Machine) -> str:
    """Return what a plan takes for granted."""
    return (
        "Assumed: FLUX.1 in bfloat16, all weights loaded; requests come independently (Poisson),"
        " and who asks again within a minute makes bursts that need some denoisers more;"
        " exact predictions; no failures, no time between stages; the production scheduler,"
        f" and router, up to {MAX_ONGOING} pictures each;"
        f" other stages at most {MOST_BUSY:.0%} busy. A fraction of a GPU is of its time: its"
        " memory must hold the weights too (10 GB of text encoders).\n"
        f"1024x1024 in 28 steps takes {machine.reference_s} s;"
        f" ${machine.usd_per_hour:.2f} per GPU-hour. Sources: {machine.source}."
    )
