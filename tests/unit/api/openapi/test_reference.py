"""The reference page is what the code says, and its check notices when it is not."""

from pathlib import Path

import pytest

from serve_app.api.openapi import reference as parameter_reference
from serve_app.api.openapi.reference import COLUMNS, REFERENCE, main, reference
from serve_app.api.parameters import image_parameters
from serve_app.config import ApiConfig

TABLE = image_parameters(ApiConfig())


def cells(name: str) -> dict[str, str]:
    """Return a parameter's row of the page, by column."""
    (line,) = [line for line in reference().splitlines() if line.startswith(f"| `{name}` |")]
    return dict(zip(COLUMNS, line.strip("| ").split(" | "), strict=True))


def test_the_committed_page_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "make docs"


def test_every_parameter_has_a_row() -> None:
    for parameter in TABLE:
        row = cells(parameter.name)
        assert row["Behaviour"] == parameter.behaviour
        assert row["What it does"] == parameter.description
        for name in parameter.aliases:
            assert f"`{name}`" in row["Other names"]


def test_no_name_is_nobody_s() -> None:
    for parameter in TABLE:
        row = cells(parameter.name)
        dialects = {row[name] for name in ("OpenAI", "Lumenfall", "fal", "Replicate")}
        for name in parameter.names:
            assert any(f"`{name}`" in cell for cell in dialects), name


@pytest.mark.parametrize(
    ("name", "column", "cell"),
    [
        ("prompt", "Default", "required"),
        ("prompt", "Type and range", "string, 1 to 32000 characters"),
        ("n", "Type and range", "integer, 1 to 10"),
        ("n", "Default", "`1`"),
        ("n", "fal", "`num_images`"),
        ("n", "Replicate", "`num_outputs`"),
        ("cfg_scale", "OpenAI", "-"),
        ("cfg_scale", "Default", "`4.5`"),
        ("sync_mode", "Default", "`false`"),
        ("seed", "Default", "-"),
        ("megapixels", "Type and range", "0.25 or 1, as a number or a string"),
        ("size", "Type and range", "'WIDTHxHEIGHT', 'W:H' or 'auto'"),
        ("response_format", "Type and range", "`url`, `b64_json`"),
        ("quality", "Type and range", "anything"),
        ("image", "fal", "`image_url`"),
        ("output_format", "Replicate", "`output_format`"),
    ],
)
def test_a_cell_says_what_the_table_says(name: str, column: str, cell: str) -> None:
    assert cells(name)[column] == cell


def test_the_check_notices_a_stale_page_and_writing_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "parameters.md"
    monkeypatch.setattr(parameter_reference, "REFERENCE", page)
    assert main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
    page.write_text(reference().replace("| `n` |", "| `m` |"), encoding="utf-8")
    assert main(["--check"]) == 1
