"""A config file says what it means, or the server does not start."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from serve_app.config import (
    EMBEDDED_MODEL_DIR,
    AppConfig,
    ModelConfig,
    api_key,
    otlp_endpoint,
    trace_with,
    url_keys,
)


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


def test_spans_are_collected_where_opentelemetry_s_variables_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert otlp_endpoint() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318")
    assert otlp_endpoint() == "http://all:4318"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://spans:4318")
    assert otlp_endpoint() == "http://spans:4318"


def test_what_the_operator_says_of_tracing_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    ratio, path = "RAY_SERVE_TRACING_SAMPLING_RATIO", "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH"
    monkeypatch.setattr(os, "environ", {ratio: "0.5"})
    trace_with("package.module:function")
    assert (os.environ[ratio], os.environ[path]) == ("0.5", "package.module:function")
