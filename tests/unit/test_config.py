"""A config file says what it means, or the server does not start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.config import EMBEDDED_MODEL_DIR, AppConfig, ModelConfig, api_key


def test_defaults_serve_the_embedded_model() -> None:
    assert AppConfig().model.directory == EMBEDDED_MODEL_DIR


def test_a_path_is_taken_as_it_is() -> None:
    assert ModelConfig(path="/models/krea").directory == Path("/models/krea")


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"modle": {}}, "modle"),
        ({"model": {"dtype": "float16"}}, "dtype"),
        ({"model": {"num_threads": 0}}, "num_threads"),
        ({"storage": {"ttl_s": 0}}, "ttl_s"),
        ({"api": {"deadline_s": -1}}, "deadline_s"),
        ({"api": {"price": 1}}, "price"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_that_names_it(
    args: dict[str, object], field: str
) -> None:
    with pytest.raises(ValidationError, match=field):
        AppConfig.model_validate(args)


def test_an_empty_key_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_key() is None
    monkeypatch.setenv("KREA_SERVE_API_KEY", "")
    assert api_key() is None
    monkeypatch.setenv("KREA_SERVE_API_KEY", "secret")
    assert api_key() == "secret"
