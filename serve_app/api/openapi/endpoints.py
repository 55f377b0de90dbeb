"""Every endpoint that the OpenAPI document describes, as a list."""

from dataclasses import dataclass, field, replace
from typing import Literal

from serve_app.api.openapi.errors import error_classes
from serve_app.api.openapi.parts import (
    DRY_RUN,
    IDEMPOTENCY_KEY,
    WITH_SCHEMA,
    document,
    json_response,
    nothing,
    path_parameter,
    picture_file,
    pictures,
    query_parameter,
)
from serve_app.api.request.history_parameters import HISTORY_PARAMETERS
from serve_app.api.values.kinds import JsonSchema

OPENAI_PREFIXES = ("/v1", "/openai/v1")
NATIVE_PREFIX = ("/v1",)
NO_PREFIX = ("",)

SERVER_ERRORS = (500, 503)
KEY_ERRORS = (401, *SERVER_ERRORS)
SCOPE_ERRORS = (403, *KEY_ERRORS)
# All but the one that the routing answers before an endpoint is found.
IMAGE_ERRORS = tuple(status for status in error_classes() if status != 405)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: In lower case.
        path: Without the prefix.
        name: In generated clients.
        tag: What it is about.
        summary: One line.
        success: Its responses that are no errors, by status.
        errors: The statuses of the others.
        description: What the summary leaves open.
        parameters: In the path, the query and the headers.
        bodies: The name of the schema of the request's body, by media type.
        prefixes: What its path may begin with.
        is_keyed: Whether it asks for a key.
        is_deprecated: Whether nobody should use it.
    """

    method: Literal["get", "head", "post", "delete"]
    path: str
    name: str
    tag: str
    summary: str
    success: dict[str, JsonSchema]
    errors: tuple[int, ...]
    description: str = ""
    parameters: tuple[JsonSchema, ...] = ()
    bodies: dict[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = OPENAI_PREFIXES
    is_keyed: bool = True
    is_deprecated: bool = False


_GENERATIONS = Endpoint(
    "post",
    "/images/generations",
    "createImages",
    "Images",
    "Make pictures from text.",
    {"200": pictures()},
    IMAGE_ERRORS,
    "With `image` in the body they are made from a picture, as fal and Replicate have it.",
    parameters=(DRY_RUN, IDEMPOTENCY_KEY),
    bodies={"application/json": "GenerationBody"},
)
IMAGES = (
    _GENERATIONS,
    replace(
        _GENERATIONS,
        path="/images/edits",
        name="editImages",
        summary="Make pictures from a picture.",
        description="With a `mask`, only a part of it is painted anew.",
        bodies={"multipart/form-data": "EditForm", "application/json": "EditBody"},
    ),
    Endpoint(
        "post",
        "/images/variations",
        "createVariations",
        "Images",
        "Not available: use /images/edits instead.",
        {},
        (404, *KEY_ERRORS),
        is_deprecated=True,
    ),
)

MODELS = (
    Endpoint(
        "get",
        "/models",
        "listModels",
        "Models",
        "List what is served.",
        {"200": document("ModelList")},
        KEY_ERRORS,
    ),
    Endpoint(
        "get",
        "/models/{name}",
        "getModel",
        "Models",
        "Describe a model.",
        {"200": document("Model")},
        (404, *KEY_ERRORS),
        parameters=(
            path_parameter("name", "Any of the model's names, which may hold slashes."),
            WITH_SCHEMA,
        ),
    ),
)

_REQUEST_ID = path_parameter("request_id", "The `id` of an answer.")
HISTORY = (
    Endpoint(
        "get",
        "/requests",
        "listRequests",
        "History",
        "List requests, the newest first.",
        {"200": document("RequestList")},
        (400, *SCOPE_ERRORS),
        "Those of the key's own organisation, without prompts and pictures.",
        parameters=tuple(map(query_parameter, HISTORY_PARAMETERS)),
        prefixes=NATIVE_PREFIX,
    ),
    Endpoint(
        "get",
        "/requests/{request_id}",
        "getRequest",
        "History",
        "Return one request.",
        {"200": document("RequestEntry")},
        (404, *SCOPE_ERRORS),
        parameters=(_REQUEST_ID,),
        prefixes=NATIVE_PREFIX,
    ),
    Endpoint(
        "delete",
        "/requests/{request_id}/payloads",
        "purgeRequest",
        "History",
        "Delete a request's pictures, and the answer that was kept for a repetition.",
        {"204": nothing("They are gone.")},
        (404, *SCOPE_ERRORS),
        parameters=(_REQUEST_ID,),
        prefixes=NATIVE_PREFIX,
    ),
    Endpoint(
        "get",
        "/balance",
        "getBalance",
        "History",
        "Answer that there is no balance to run out of.",
        {"200": document("Balance")},
        KEY_ERRORS,
        prefixes=NATIVE_PREFIX,
    ),
)

_GET_MEDIA = Endpoint(
    "get",
    "/media/{name}",
    "getMedia",
    "Media",
    "Download a picture.",
    {"200": picture_file(), "304": nothing("The client has it already.")},
    (404, *SERVER_ERRORS),
    "It needs no key: whoever has the URL has the picture, until the URL expires.",
    parameters=(path_parameter("name", "As in the `url` of an answer."),),
    prefixes=NO_PREFIX,
    is_keyed=False,
)
MEDIA = (
    _GET_MEDIA,
    replace(_GET_MEDIA, method="head", name="headMedia", summary="Ask whether a picture is there."),
)

_STATUS = json_response(
    "Yes.",
    {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]},
)
_HEALTHZ = Endpoint(
    "get",
    "/healthz",
    "isAlive",
    "Health",
    "Whether this process is alive.",
    {"200": _STATUS},
    (500,),
    prefixes=NO_PREFIX,
    is_keyed=False,
)
HEALTH = (
    _HEALTHZ,
    replace(
        _HEALTHZ,
        path="/readyz",
        name="isReady",
        summary="Whether a request would be served now; not while the weights load.",
        errors=SERVER_ERRORS,
    ),
)

ENDPOINTS = (*IMAGES, *MODELS, *HISTORY, *MEDIA, *HEALTH)
