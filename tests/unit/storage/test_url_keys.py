"""The keys of links: from the environment, or made once in the folder that all replicas share."""

from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.storage.url_keys import KEY_FILE, load_url_keys

NEW, OLD = "n" * 32, "o" * 40


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    made = load_url_keys(tmp_path)
    assert len(made) == 1
    assert len(made[0]) == 64
    assert load_url_keys(tmp_path) == made


def test_two_folders_have_different_keys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert load_url_keys(tmp_path / "one") != load_url_keys(tmp_path / "two")


@pytest.mark.parametrize(
    ("variable", "keys"),
    [(NEW, (NEW,)), (f"{NEW},{OLD}", (NEW, OLD)), (f" {NEW} , {OLD},", (NEW, OLD))],
)
def test_keys_of_the_environment_need_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", variable)
    expected = tuple(key.encode() for key in keys)
    assert load_url_keys(None) == load_url_keys(tmp_path) == expected
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("", "must be set"),
        (",", "must be set"),
        ("too-short-a-secret", "shorter than 32"),
        (f"{NEW},too-short-a-secret", "shorter than 32"),
        (f"{NEW},{OLD},{NEW}", "at most 2"),
    ],
)
def test_what_is_not_a_key_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, reason: str
) -> None:
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", variable)
    with pytest.raises(ConfigError, match=reason) as refused:
        load_url_keys(None)
    assert "secret" not in str(refused.value)


def test_a_broken_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("short\n")
    with pytest.raises(ConfigError, match="does not hold a key"):
        load_url_keys(tmp_path)


def test_a_folder_that_cannot_hold_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_url_keys(tmp_path / "missing")
