"""Processes that train together agree, and alone nothing changes."""

import socket
import subprocess
import sys
from pathlib import Path

import torch

from serve_app.tiny_flux import ranks

SCRIPT = """
import sys
import torch
from serve_app.tiny_flux import ranks

ranks.join()
rank = ranks.rank()
weights = torch.zeros(2, 3, requires_grad=True)
unused = torch.zeros(4, requires_grad=True)
weights.grad = torch.full((2, 3), float(rank))
ranks.average_gradients([weights, unused])
calls = []
doubled = ranks.divided(torch.arange(10.0).reshape(5, 2), lambda part: calls.append(1) or part * 2)
results = (weights.grad, doubled, ranks.agreed(rank + 5), ranks.num_ranks())
torch.save(results, f"{sys.argv[1]}/{rank}.pt")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_share_gradients_work_and_decisions(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    options = ("--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={free_port()}")
    launcher = (sys.executable, "-m", "torch.distributed.run", *options)
    subprocess.run(
        [*launcher, str(script), str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={"PYTHONPATH": ".", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        timeout=200,
    )
    for rank in range(2):
        gradient, doubled, agreed, num_ranks = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(gradient, torch.full((2, 3), 0.5))
        assert torch.equal(doubled, torch.arange(10.0).reshape(5, 2) * 2)
        assert (agreed, num_ranks) == (5, 2)


def test_alone_everything_is_as_it_was() -> None:
    weights = torch.zeros(2, requires_grad=True)
    weights.grad = torch.ones(2)
    ranks.join()
    ranks.average_gradients([weights])
    assert torch.equal(weights.grad, torch.ones(2))
    assert torch.equal(ranks.divided(torch.ones(3, 1), torch.neg), -torch.ones(3, 1))
    assert (ranks.rank(), ranks.num_ranks(), ranks.agreed(0.25)) == (0, 1, 0.25)
