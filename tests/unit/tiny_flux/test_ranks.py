"""Processes that train together agree, and alone nothing changes."""

import subprocess
import sys
from pathlib import Path

import torch

from serve_app.tiny_flux import ranks

SCRIPT = """
import sys
import torch
from serve_app.tiny_flux import ranks

with ranks.joined():
    rank = ranks.rank()
    weights = torch.zeros(2, 3, requires_grad=True)
    unused = torch.zeros(4, requires_grad=True)
    weights.grad = torch.full((2, 3), float(rank))
    ranks.average_gradients([weights, unused])
    doubled = ranks.divided(torch.arange(10.0).reshape(5, 2), lambda part: part * 2)
    results = (weights.grad, doubled, ranks.agreed(rank + 5), ranks.num_ranks())
    torch.save(results, f"{sys.argv[1]}/{rank}.pt")
"""


def test_two_processes_share_gradients_work_and_decisions(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # The launcher binds a port of its own choice: one that is looked up before may be gone by then.
    meet = ("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1")
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *meet)
    run = subprocess.run(
        [*launcher, str(script), str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": ".", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.STDOUT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=200,
    )
    assert run.returncode == 0, run.stdout
    for rank in range(2):
        gradient, doubled, agreed, num_ranks = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(gradient, torch.full((2, 3), 0.5))
        assert torch.equal(doubled, torch.arange(10.0).reshape(5, 2) * 2)
        assert (agreed, num_ranks) == (5, 2)


def test_alone_everything_is_as_it_was() -> None:
    weights = torch.zeros(2, requires_grad=True)
    weights.grad = torch.ones(2)
    with ranks.joined():
        ranks.average_gradients([weights])
        divided = ranks.divided(torch.ones(3, 1), torch.neg)
        numbers = (ranks.rank(), ranks.num_ranks(), ranks.agreed(0.25))
    assert torch.equal(weights.grad, torch.ones(2))
    assert torch.equal(divided, -torch.ones(3, 1))
    assert numbers == (0, 1, 0.25)
