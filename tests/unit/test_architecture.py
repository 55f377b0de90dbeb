"""The figures and names that ARCHITECTURE.md promises for `serve_app`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).parents[2] / "serve_app"
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [file for file in FILES if file.name != "__init__.py"]

MAX_FILE_LINES = 350
MAX_MEDIAN_FILE_LINES = 150
MAX_FUNCTION_LINES = 60

# Names that say nothing about what is inside.
EMPTY_WORDS = {"util", "common", "misc", "helper", "manager", "handler"}


def name(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def num_lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def long_functions(source: str) -> Iterator[str]:
    """Yield `name (lines)` of each function that is too long, its docstring included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name} ({length})"


def empty_words(identifier: str) -> set[str]:
    """Return the empty words in a `snake_case` or `CamelCase` name, in the singular."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)
    return {part.lower().removesuffix("s") for part in parts} & EMPTY_WORDS


def class_names(source: str) -> list[str]:
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_a_file_is_short(file: Path) -> None:
    assert num_lines(file) <= MAX_FILE_LINES


def test_the_median_file_is_short() -> None:
    assert median(map(num_lines, SOURCES)) <= MAX_MEDIAN_FILE_LINES


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_functions_are_short(file: Path) -> None:
    assert list(long_functions(file.read_text())) == []


def test_packages_re_export_nothing() -> None:
    inits = [file for file in FILES if file.name == "__init__.py"]
    assert inits, "serve_app has packages"
    assert [name(file) for file in inits if file.read_text().strip()] == []


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_folder_of_modules_is_a_package(file: Path) -> None:
    # A folder without `__init__.py` would be left out of the layers that import-linter checks.
    assert (file.parent / "__init__.py").exists()


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_names_say_something(file: Path) -> None:
    folders = file.relative_to(PACKAGE).with_suffix("").parts
    named = [*folders, *class_names(file.read_text())]
    assert [word for identifier in named for word in empty_words(identifier)] == []


@pytest.mark.parametrize(
    ("length", "found"), [(MAX_FUNCTION_LINES, []), (MAX_FUNCTION_LINES + 1, ["slow (61)"])]
)
def test_the_measure_of_functions_sees_a_long_one(length: int, found: list[str]) -> None:
    source = "async def slow():\n" + "    pass\n" * (length - 1)
    assert list(long_functions(source)) == found


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ("api_utils", {"util"}),
        ("HTTPHandler", {"handler"}),
        ("JobManager", {"manager"}),
        ("commonplace", set()),
        ("HandlesNothing", set()),
    ],
)
def test_the_measure_of_names_sees_an_empty_word(identifier: str, found: set[str]) -> None:
    assert empty_words(identifier) == found
