"""What stands around the code agrees with itself: versions, pins, commands, sizes."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MAX_FILE_BYTES = 5 * 1024 * 1024


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def normalized(requirement: str) -> str:
    """Return the name of `Package_Name[extra]` as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", requirement.split("[")[0]).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {
        normalized(package): version
        for package, _, version in (line.partition("==") for line in lines)
        if version
    }


def requirements() -> list[str]:
    extras = project()["optional-dependencies"].values()
    return [*project()["dependencies"], *(name for extra in extras for name in extra)]


def releases(changelog: str) -> list[str]:
    """Return the headings of a changelog, newest first."""
    return re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def shell_blocks(markdown: str) -> list[str]:
    return re.findall(r"^```(?:sh|shell|bash|console)\n(.*?)^```", markdown, flags=re.M | re.S)


def mentioned_targets(block: str) -> set[str]:
    """Return the targets that a shell block gives to make, past settings such as `PORT=9000`."""
    commands = re.findall(r"(?:^|[;&|]|\$)\s*(?:\w+=\S+\s+)*make\s+([^#\n;&|]*)", block, re.M)
    words = [word for command in commands for word in command.split()]
    return {word for word in words if re.fullmatch("[a-z-]+", word)}


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name]


def test_the_changelog_ends_at_the_packages_version() -> None:
    unreleased, latest = releases((ROOT / "CHANGELOG.md").read_text())[:2]
    assert (unreleased, latest) == ("Unreleased", project()["version"])


@pytest.mark.parametrize("requirement", requirements())
def test_a_dependency_is_named_here_and_pinned_there(requirement: str) -> None:
    assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?", requirement), "versions go to constraints.txt"
    assert normalized(requirement) in pins()


def test_constraints_are_exact_and_fit_every_machine() -> None:
    text = (ROOT / "constraints.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len(pins())
    # A local version such as +cpu exists only where its wheel is offered.
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)] == []
    assert "krea-serve" not in pins()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_pages_make_commands_exist(page: str) -> None:
    blocks = shell_blocks((ROOT / page).read_text())
    mentioned = {target for block in blocks for target in mentioned_targets(block)}
    assert mentioned
    assert mentioned <= make_targets()


def test_the_readme_and_ci_run_the_same_tests() -> None:
    readme = "".join(shell_blocks((ROOT / "README.md").read_text()))
    assert "test" in mentioned_targets(readme)
    ci = (ROOT / ".ci" / "run").read_text().strip().splitlines()
    assert ci[-1].split()[-1] == "test", "pytest's summary ends the output of CI"


def test_a_readme_with_an_unknown_target_is_noticed() -> None:
    block = "PORT=9000 make serve CONFIG=configs/tiny.yaml\nmake bake  # no\n# make tea\n"
    assert mentioned_targets(block) == {"serve", "bake"}
    assert not {"bake"} <= make_targets()


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    help_lines = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.M)
    assert set(help_lines) == make_targets()


def test_nothing_large_is_tracked_but_the_weights() -> None:
    weights = ROOT / "serve_app" / "tiny_flux" / "weights"
    large = [
        file
        for file in tracked_files()
        if file.is_file()
        and not file.is_relative_to(weights)
        and file.stat().st_size > MAX_FILE_BYTES
    ]
    assert large == []


def test_the_local_hooks_run_tools_that_are_pinned() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] if repo["repo"] == "local" for hook in repo["hooks"]]
    commands = [hook["entry"].split() for hook in hooks]
    assert commands
    for program, argument, *_ in (command for command in commands if len(command) > 1):
        if program == "make":
            assert argument in make_targets()
        else:
            assert program.startswith(".venv/bin/")
