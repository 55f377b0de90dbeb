"""Where the pepper comes from."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from serve_app.errors import ConfigError
from serve_app.records.pepper import PEPPER_FILE, load_pepper

PEPPER = "p" * 32
SHARED = make_url("postgresql+asyncpg://db/krea")


def test_it_lies_beside_the_database_and_not_in_it(tmp_path: Path) -> None:
    url = make_url(f"sqlite+aiosqlite:///{tmp_path}/records.db")
    pepper = load_pepper(url)
    assert (tmp_path / PEPPER_FILE).read_bytes() == pepper
    assert load_pepper(url) == pepper


def test_that_of_the_environment_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KREA_SERVE_KEY_PEPPER", PEPPER)
    assert load_pepper(SHARED) == PEPPER.encode()
    assert load_pepper(make_url(f"sqlite+aiosqlite:///{tmp_path}/records.db")) == PEPPER.encode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "said"), [("", "must be set"), ("guessable-secret", "shorter than 32")]
)
def test_without_a_good_one_a_shared_database_has_no_keys(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("KREA_SERVE_KEY_PEPPER", value)
    with pytest.raises(ConfigError, match=said) as refused:
        load_pepper(SHARED)
    assert "guessable-secret" not in refused.value.message
