"""OpenAI's client for Node.js: installed once, as its lock file says."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

NODE_DIR = Path(__file__).parent / "node"
LOCK = NODE_DIR / "package-lock.json"
# npm's own record of what it has installed.
INSTALLED = NODE_DIR / "node_modules" / ".package-lock.json"


def install() -> None:
    """Install the client, unless it is there; skip the test where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed; .ci/prerequisites installs them")
    if INSTALLED.exists() and INSTALLED.stat().st_mtime >= LOCK.stat().st_mtime:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    ended = subprocess.run(command, cwd=NODE_DIR, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


async def run_script(name: str, environment: Mapping[str, str]) -> None:
    """Run the tests of one script, while this event loop goes on serving."""
    process = await asyncio.create_subprocess_exec(
        "node",
        name,
        cwd=NODE_DIR,
        env=os.environ | dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"# pass 0" not in output
