"""The document at /openapi.json is valid, complete, and true."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from starlette.routing import Route

from serve_app.api.openapi.document import openapi_document
from serve_app.api.openapi.endpoints import ENDPOINTS, IMAGE_ERRORS
from serve_app.api.openapi.errors import HEADERS_OF, error_classes
from serve_app.config import ApiConfig
from serve_app.errors import (
    AuthenticationError,
    DeadlineExceededError,
    OverloadedError,
    RateLimitedError,
    RequestError,
)
from serve_app.limits.admission import limit_headers
from serve_app.limits.meters import PER_MINUTE, Meter
from serve_app.limits.protocol import Level
from tests.unit.api.conftest import MakeApp, MakeClient

DOCUMENT = openapi_document(ApiConfig())

# Pages and files for people, and the document itself.
UNDESCRIBED = {
    "/",
    "/docs",
    "/docs/{name}",
    "/openapi.json",
    "/playground",
    "/playground/{name}",
}


def is_valid(document: dict[str, Any]) -> bool:
    """Judge by the schema that OpenAPI itself publishes."""
    try:
        schemathesis.openapi.from_dict(document).validate()
    except jsonschema_rs.ValidationError:
        return False
    return True


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def referred(reference: str) -> Any:
    node: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def test_it_is_valid() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert is_valid(DOCUMENT)


@pytest.mark.parametrize("broken", [{"paths": []}, {"info": {}}, {"servers": "/"}, {"x": 1}])
def test_the_validator_notices(broken: dict[str, Any]) -> None:
    assert not is_valid({**DOCUMENT, **broken})


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert "#/components/schemas/ErrorEnvelope" in found
    for reference in found:
        assert referred(reference)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names)) == sum(len(each.prefixes) for each in ENDPOINTS)


def test_every_schema_is_one() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        assert jsonschema_rs.meta.is_valid({**dialect, **schema})


def test_it_describes_every_route_and_no_other(make_app: MakeApp) -> None:
    described = {(path, method.upper()) for method, path, _ in operations()}
    served = {
        (route.path.replace(":path", ""), method)
        for route in make_app().routes
        if isinstance(route, Route) and route.path not in UNDESCRIBED
        for method in route.methods or ()
    }
    # Starlette answers HEAD wherever it answers GET.
    served -= {(path, "HEAD") for path, _ in served if not path.startswith("/media")}
    assert described == served


def test_both_prefixes_offer_the_same_but_for_the_history() -> None:
    paths = DOCUMENT["paths"]
    for path in paths:
        if path.startswith("/openai"):
            assert path.removeprefix("/openai") in paths
    native = {path for path in paths if path.startswith("/v1") and f"/openai{path}" not in paths}
    assert native == {
        "/v1/requests",
        "/v1/requests/{request_id}",
        "/v1/requests/{request_id}/payloads",
        "/v1/balance",
    }


def test_a_part_of_a_path_is_a_parameter() -> None:
    for _, path, operation in operations():
        named = [p["name"] for p in operation.get("parameters", []) if p["in"] == "path"]
        assert all(f"{{{name}}}" in path for name in named)
        assert len(named) == path.count("{")


def test_what_is_under_a_prefix_asks_for_a_key() -> None:
    for _, path, operation in operations():
        assert operation["security"] == ([{"key": []}] if "/v1/" in path else [])
        assert ("401" in operation["responses"]) == ("/v1/" in path)


def test_pictures_are_asked_for_in_two_ways_and_come_in_two() -> None:
    edits = DOCUMENT["paths"]["/v1/images/edits"]["post"]
    assert set(edits["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert set(edits["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert [parameter["name"] for parameter in edits["parameters"]] == [
        "dryRun",
        "Idempotency-Key",
    ]


def test_every_error_of_the_tree_is_described() -> None:
    responses = DOCUMENT["components"]["responses"]
    assert set(responses) == {str(status) for status in error_classes()}
    for status, errors in error_classes().items():
        narrowed = responses[str(status)]["content"]["application/json"]["schema"]["allOf"][1]
        codes = narrowed["properties"]["error"]["properties"]["code"]["enum"]
        assert {error.code for error in errors} == set(codes)
    assert {*IMAGE_ERRORS, 405} == set(error_classes())


@pytest.mark.parametrize(
    "error", [AuthenticationError(), OverloadedError(), DeadlineExceededError("Too late.")]
)
def test_the_headers_of_an_error_are_described(error: RequestError) -> None:
    assert set(error.headers) == set(HEADERS_OF[error.status_code])
    described = DOCUMENT["components"]["responses"][str(error.status_code)]["headers"]
    assert set(error.headers) <= set(described)


def test_the_headers_of_limits_are_described() -> None:
    levels = {meter: Level(limit=2, free=1, full_in_ns=9) for meter in PER_MINUTE}
    others = {meter: Level(limit=2, free=1, full_in_ns=None) for meter in Meter}
    error = RateLimitedError(limit_headers=limit_headers(others | levels))
    assert set(error.headers) == set(HEADERS_OF[429])
    pictures = DOCUMENT["paths"]["/v1/images/edits"]["post"]["responses"]["200"]
    assert set(error.limit_headers) <= set(pictures["headers"])


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "ImagesResponse"),
        ({"response_format": "b64_json", "n": 2, "user": "u"}, "ImagesResponse"),
        ({"n": 0}, "ErrorEnvelope"),
    ],
)
async def test_answers_are_as_described(
    client: httpx.AsyncClient, body: dict[str, Any], name: str
) -> None:
    small = {"prompt": "x", "size": "16x16"}
    answer = (await client.post("/v1/images/generations", json=small | body)).json()
    assert validator(name).is_valid(answer)
    others = {"ImagesResponse", "CostEstimate", "ErrorEnvelope", "ModelList"} - {name}
    assert not any(validator(other).is_valid(answer) for other in others)


async def test_events_are_as_described(client: httpx.AsyncClient) -> None:
    body = {"prompt": "x", "size": "16x16", "stream": True, "partial_images": 1}
    answer = await client.post("/v1/images/generations", json=body)
    data = [line.removeprefix("data: ") for line in answer.text.splitlines() if "data: " in line]
    preview, picture = map(json.loads, data)
    assert validator("PartialImageEvent").is_valid(preview)
    assert validator("CompletedEvent").is_valid(picture)
    assert not validator("CompletedEvent").is_valid(preview)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models", "ModelList"),
        ("/v1/models/flux.1-krea-dev?schema=true", "Model"),
        ("/v1/requests?summary=true", "RequestList"),
        ("/v1/balance", "Balance"),
        ("/v1/images/generations?dryRun=1", "CostEstimate"),
    ],
)
async def test_other_answers_are_as_described(
    client: httpx.AsyncClient, path: str, name: str
) -> None:
    method = "POST" if "images" in path else "GET"
    answer = (await client.request(method, path, json={"prompt": "x"})).json()
    assert validator(name).is_valid(answer)


async def test_it_is_served_without_a_key(make_client: MakeClient) -> None:
    async with make_client(api_key="k", max_images=3) as client:
        answer = await client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()["components"]["schemas"]["GenerationBody"]
    assert body["properties"]["n"]["maximum"] == 3
    assert answer.json() == openapi_document(ApiConfig(max_images=3))


async def test_the_server_is_the_one_that_is_configured(make_client: MakeClient) -> None:
    async with make_client(public_base_url="https://pictures.example") as client:
        document = (await client.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "https://pictures.example"}]
    assert DOCUMENT["servers"] == [{"url": "/"}]
