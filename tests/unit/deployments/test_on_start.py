"""Classes by name: imported by a replica that starts, and by nobody who names them."""

import subprocess
import sys
from importlib import import_module
from operator import attrgetter

import pytest

from serve_app.deployments import on_start
from serve_app.deployments.on_start import MODULES, import_path

NOBODY_NEEDS = {"torch", "diffusers", "transformers"}


@pytest.mark.parametrize("name", MODULES)
def test_a_path_leads_to_the_class(name: str) -> None:
    module, _, attribute = import_path(name).rpartition(".")
    assert getattr(import_module(module), attribute) is getattr(import_module(MODULES[name]), name)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="Painter"):
        attrgetter("Painter")(on_start)


def test_who_composes_the_application_imports_no_model_library() -> None:
    code = (
        "import sys; from serve_app.builder import build; from serve_app.config import AppConfig;"
        f"build(AppConfig()); print(sorted({NOBODY_NEEDS} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split("\n")[-2] == "[]"
