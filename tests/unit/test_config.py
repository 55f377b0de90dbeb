"""A config file says what it means, or the server does not start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.config import EMBEDDED_MODEL_DIR, AppConfig, ModelConfig, api_key, url_keys


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
        ({"storage": {"url_ttl_s": 0}}, "url_ttl_s"),
        ({"storage": {"url_ttl_s": 7 * 24 * 3600 + 1}}, "url_ttl_s"),
        ({"storage": {"url_ttl_s": 60, "object_ttl_s": 59}}, "object_ttl_s"),
        ({"storage": {"bucket": "ftp://pictures"}}, "bucket"),
        ({"storage": {"bucket": "s3://"}}, "bucket"),
        ({"api": {"deadline_s": -1}}, "deadline_s"),
        ({"api": {"price": 1}}, "price"),
        ({"limits": {"requests_per_minute": 0}}, "requests_per_minute"),
        ({"limits": {"images_per_minute": 1.5}}, "images_per_minute"),
        ({"limits": {"max_concurrent_requests": -1}}, "max_concurrent_requests"),
        ({"limits": {"requests_per_second": 1}}, "requests_per_second"),
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


@pytest.mark.parametrize("bucket", ["s3://pictures", "gs://pictures/", "az://pictures/krea/eu"])
def test_a_bucket_is_named_by_its_url(bucket: str) -> None:
    config = AppConfig.model_validate({"storage": {"bucket": bucket}})
    assert config.storage.bucket == bucket


def test_keys_of_urls_are_listed_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_keys() == ()
    monkeypatch.setenv("KREA_SERVE_URL_KEYS", "new, old,")
    assert url_keys() == ("new", "old")


def test_nothing_is_limited_by_default() -> None:
    assert AppConfig().limits.model_dump() == {
        "requests_per_minute": None,
        "images_per_minute": None,
        "max_concurrent_requests": None,
    }
