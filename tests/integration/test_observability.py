"""What the running product tells its operators: metrics, times, logs and spans."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from serve_app.config import AppConfig
from serve_app.storage.names import ObjectName
from serve_app.storage.store import ImageStore
from tests.integration.conftest import METRICS_PERIOD_S, Server, beside, own_places

PATH = "/v1/images/generations"
BODY = {"prompt": "a large red circle", "size": "128x128", "num_inference_steps": 3}
OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"

PREFIX = "ray_krea_serve_"
# Ray's own: which process it was, and what read it.
RAY_LABELS = {"application", "deployment", "replica", "Component", "NodeAddress", "SessionName"} | {
    "Version",
    "WorkerId",
    "actor_id",
    "otel_scope_name",
    "otel_scope_schema_url",
    "otel_scope_version",
}
STAGES = ("encode", "denoise", "decode", "write")
PATIENCE_S = 90.0
SETTLED_S = 3 * METRICS_PERIOD_S

T = TypeVar("T")


def awaited(find: Callable[[], T]) -> T:
    """Return what is found once there is something: metrics, logs and spans come by and by."""
    ends_at = time.monotonic() + PATIENCE_S
    while not (found := find()) and time.monotonic() < ends_at:
        time.sleep(0.5)
    return found


def settled(find: Callable[[], T]) -> T:
    """Return what is found once it stays: what was counted before comes by and by, too."""
    found, since = find(), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        time.sleep(0.5)
        if (now := find()) != found:
            found, since = now, time.monotonic()
    return found


def samples(server: Server) -> list[Sample]:
    families = text_string_to_metric_families(httpx.get(server.metrics_url, timeout=60).text)
    return [
        sample for family in families for sample in family.samples if family.name.startswith(PREFIX)
    ]


def total(server: Server, name: str, **labels: str) -> float:
    """Return the sum of all series of a metric with some labels."""
    return sum(
        sample.value
        for sample in samples(server)
        if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
    )


def test_requests_and_pictures_are_counted_by_class(server: Server, client: httpx.Client) -> None:
    ok = {"route": PATH, "status": "200", "method": "POST"}
    wrong = {"route": PATH, "status": "400", "error_code": "INVALID_REQUEST"}
    small = {"size_class": "small", "priority": "standard", "output_format": "webp"}

    def counts() -> list[float]:
        return [
            total(server, "requests_total", **ok),
            total(server, "request_seconds_count", route=PATH, status="200"),
            total(server, "requests_total", **wrong),
            total(server, "images_total", **small),
            *(total(server, "stage_seconds_count", stage=stage) for stage in STAGES),
        ]

    before = settled(counts)
    body = BODY | {"n": 2, "output_format": "webp", "response_format": "b64_json"}
    assert client.post(PATH, json=body).status_code == 200
    assert client.post(PATH, json=BODY | {"n": 11}).status_code == 400
    wanted = [old + new for old, new in zip(before, [1, 1, 1, 2, 1, 2, 2, 2], strict=True)]
    awaited(lambda: counts() == wanted)
    assert counts() == wanted


def test_pixel_steps_are_counted_as_they_were_run(server: Server, client: httpx.Client) -> None:
    def count() -> float:
        return total(server, "pixel_steps_total")

    before = settled(count)
    assert client.post(PATH, json=BODY | {"n": 2}).status_code == 200
    # Two pictures of 128 x 128, which the embedded model generates at 256 x 256.
    awaited(lambda: count() > before)
    assert settled(count) == before + 2 * 256 * 256 * 3


def test_a_request_without_a_key_is_counted_by_what_was_wrong(
    server: Server, tmp_path: Path
) -> None:
    config = AppConfig.model_validate(own_places(tmp_path))
    keyed = config.model_copy(
        update={"records": config.records.model_copy(update={"require_key": True})}
    )
    with beside(server, "keyed", keyed) as client:

        def counts() -> list[float]:
            reasons = ("missing", "scheme", "unknown")
            name = "authentication_failures_total"
            return [total(server, name, reason=reason) for reason in reasons]

        for authorization in (None, "Basic abc", "Bearer kr_wrong", "Bearer kr_wrong"):
            headers = {} if authorization is None else {"Authorization": authorization}
            assert client.get("/v1/models", headers=headers).status_code == 401
        awaited(lambda: counts() == [1, 1, 2])
        assert counts() == [1, 1, 2]


def test_what_the_image_store_fails_to_do_is_counted(server: Server, tmp_path: Path) -> None:
    config = AppConfig.model_validate(own_places(tmp_path))
    with beside(server, "storeless", config) as client:
        url = ImageStore.open(config.storage).url(str(ObjectName.new("png", time.time())), "/media")
        assert client.get(url).status_code == 404
        (tmp_path / "media" / "images").write_text("in the way")
        assert client.get(url).status_code == 503

        def counts() -> list[float]:
            name = "storage_errors_total"
            return [total(server, name, application="storeless", operation="get")]

        awaited(lambda: counts() == [1])
        assert counts() == [1]


def test_every_series_is_documented_and_of_a_bounded_kind(
    server: Server, client: httpx.Client
) -> None:
    assert client.post(PATH, json=BODY).status_code == 200
    awaited(lambda: total(server, "model_info"))
    found = {(sample.name, *sorted(sample.labels)) for sample in samples(server)}
    described = OPERATING.read_text()
    for name, *labels in found:
        base = re.sub("_(bucket|sum|count)$", "", name)
        assert f"`{base}`" in described, name
        named = set(labels) - RAY_LABELS - {"le"}
        assert all(f"`{label}`" in described for label in named), (name, named)


def test_an_answer_says_where_its_time_went(client: httpx.Client) -> None:
    answer = client.post(PATH, json=BODY)
    entries = answer.headers["server-timing"].split(", ")
    spent = {name: float(ms) for name, ms in (entry.split(";dur=") for entry in entries)}
    assert {"encode", "denoise", "decode", "write", "store"} <= spent.keys()
    assert all(milliseconds > 0 for milliseconds in spent.values())
    # The stages of one picture come one after the other; rounded to a whole millisecond.
    assert sum(spent.values()) <= int(answer.headers["openai-processing-ms"]) + 1


def lines(server: Server) -> Iterator[dict[str, Any]]:
    # Other modules deploy without the config file that asks for JSON.
    for file in (server.logs / "serve").glob("replica_krea-serve_*.log"):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def test_every_line_has_the_request_s_id_and_none_the_prompt(
    server: Server, client: httpx.Client
) -> None:
    word, key = secrets.token_hex(8), secrets.token_hex(8)
    headers = {"Authorization": f"Bearer {key}", "x-request-id": "mine"}
    body = BODY | {"prompt": f"a {word} circle", "user": "somebody"}
    answer = client.post(PATH, json=body, headers=headers)
    request_id = answer.headers["x-lumenfall-request-id"]
    url = answer.json()["data"][0]["url"]
    assert client.get(url).status_code == 200

    def access_lines() -> list[dict[str, Any]]:
        return [line for line in lines(server) if line.get("access", {}).get("id") == request_id]

    (line,) = awaited(access_lines)
    assert (line["levelname"], line["request_id"]) == ("INFO", request_id)
    assert line["access"]["x_request_id"] == "mine"
    assert line["access"]["route"] == PATH
    assert line["access"]["stage_milliseconds"].keys() >= set(STAGES)
    assert line["access"]["num_retries"] == 0

    def deployments() -> set[str]:
        own = [line for line in lines(server) if line.get("request_id") == request_id]
        return {line["deployment"].removeprefix("krea-serve_") for line in own}

    expected = {"Ingress", "TextEncoder", "Denoiser", "Vae", "ImageWriter"}
    awaited(lambda: deployments() >= expected)
    assert deployments() >= expected
    for file in server.logs.rglob("*.log"):
        text = file.read_text(errors="replace")
        assert word not in text
        assert key not in text
        assert url.rpartition("/")[2] not in text


def test_a_trace_leads_from_the_client_to_the_stages(server: Server, client: httpx.Client) -> None:
    if server.collector is None:
        pytest.skip("the exporter is not installed: pip install 'krea-serve[tracing]'")
    collector, trace_id, parent_id = server.collector, secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace_id}-{parent_id}-01"}
    word = secrets.token_hex(8)
    answer = client.post(PATH, json=BODY | {"prompt": word}, headers=headers)
    wanted = {*STAGES, "store"}
    awaited(lambda: wanted <= {span.name for span in collector.trace(trace_id)})
    # The proxy's, which all others are in, is the last to end.
    awaited(lambda: any(s.parent_span_id.hex() == parent_id for s in collector.trace(trace_id)))
    spans = {span.span_id: span for span in collector.trace(trace_id)}
    by_name = {span.name: span for span in spans.values()}
    for stage in wanted:
        ancestors, current = [], by_name[stage]
        while current.parent_span_id in spans:
            current = spans[current.parent_span_id]
            ancestors.append(current.name.split(" ")[:2])
        assert current.parent_span_id.hex() == parent_id
        assert ancestors[0][0] == "replica_handle_request"
        assert ["replica_handle_request", "Ingress"] in ancestors
    named = {each.key: each.value.string_value for each in by_name["denoise"].attributes}
    assert named["krea_serve.request_id"] == answer.headers["x-lumenfall-request-id"]
    assert not [span for span in spans.values() if word in str(span)]
