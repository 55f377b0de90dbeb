"""What the project can explain takes one line; what it cannot is a bug and says where."""

import pytest
import typer

from serve_app.errors import ConfigError
from serve_app.one_line_errors import one_line_errors


def test_an_error_of_ours_is_one_line_and_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, one_line_errors():
        raise ConfigError("no such file")
    assert ended.value.exit_code == 1
    assert capsys.readouterr() == ("", "krea-serve: no such file\n")


def test_any_other_error_is_left_alone() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError


def test_without_an_error_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with one_line_errors():
        pass
    assert capsys.readouterr() == ("", "")
