"""Whatever JSON a known field holds: an answer in one of the two shapes, and no server error."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.api.answers.schema import ErrorEnvelope, ImagesResponse
from serve_app.api.parameters import image_parameters
from serve_app.config import ApiConfig, StorageConfig
from serve_app.storage.store import ImageStore
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing
from tests.unit.api.sketch import Sketch

NAMES = [name for parameter in image_parameters(ApiConfig()) for name in parameter.names]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["image_url", "width"]), inner, max_size=3)
    ),
    max_leaves=6,
)
# Right for some field, so that the rules behind the fields are reached too.
LIKELY = st.sampled_from(
    [
        True,
        False,
        1,
        2,
        0.5,
        "1",
        "auto",
        "16:9",
        "640x480",
        "png",
        "gif",
        "avif",
        "jpg",
        "url",
        "b64_json",
        "high",
        "none",
        "square",
        "data:image/png;base64,AAAA",
        "https://a.test/1.png",
    ]
)


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    return Sketch(ImageStore.open(StorageConfig(directory=tmp_path / "media")))


@pytest.fixture
async def client(make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(allow_image_urls=False) as client:
        yield client


ERROR = {"message": "", "type": "", "param": None, "code": ""}


def check_answer(response: httpx.Response) -> None:
    if response.headers["content-type"].startswith("text/event-stream"):
        assert response.text.count("event: image_") >= 1
        assert "event: error" not in response.text
    elif response.status_code == 200:
        ImagesResponse.model_validate(response.json())
    else:
        error = ErrorEnvelope.model_validate(response.json()).error
        assert 400 <= response.status_code < 500, error
        assert response.status_code != 422
        assert len(error.message) < 400


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(["/v1/images/generations", "/v1/images/edits"]),
    st.dictionaries(st.sampled_from(NAMES), LIKELY | JSON, max_size=4),
    st.booleans(),
)
async def test_any_json_is_answered(
    client: httpx.AsyncClient, path: str, fields: dict[str, Any], has_prompt: bool
) -> None:
    body = {"prompt": "x", **fields} if has_prompt else fields
    check_answer(await client.post(path, json=body))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"error": ERROR}),
        httpx.Response(400, json={"detail": "no"}),
        httpx.Response(200, json={"data": []}),
    ],
)
def test_the_check_notices(answer: httpx.Response) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_answer(answer)
