"""Requests that the document allows, and some that it does not, against the whole HTTP surface."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from serve_app.api.openapi.document import openapi_document
from serve_app.config import ApiConfig, StorageConfig
from serve_app.storage.store import ImageStore
from tests.unit.api.conftest import MakeApp
from tests.unit.api.drawing import Drawing
from tests.unit.api.live_server import serving_app
from tests.unit.api.sketch import Sketch

KEY = "test-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
# What contradicts another field is refused, and no schema of a field says so.
UNCHECKED = [positive_data_acceptance]

OPERATIONS = [
    (path, method, GenerationMode.POSITIVE)
    for path, item in openapi_document(ApiConfig())["paths"].items()
    for method in item
    if not path.startswith("/openai")
]
# Where something can be wrong that is not simply not found, or a parameter that nobody knows.
WRONG = [
    (path, "post", GenerationMode.NEGATIVE)
    for path in ("/v1/images/generations", "/v1/images/edits")
]


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    return Sketch(ImageStore.open(StorageConfig(directory=tmp_path / "media")))


def check_operation(port: int, path: str, method: str, mode: GenerationMode) -> None:
    url = f"http://127.0.0.1:{port}/openapi.json"
    operation = schemathesis.openapi.from_url(url)[path][method]

    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers=HEADERS, excluded_checks=UNCHECKED)

    check()


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS + WRONG)
async def test_answers_are_what_the_document_says(
    make_app: MakeApp, path: str, method: str, mode: GenerationMode
) -> None:
    app = make_app(api_key=KEY, allow_image_urls=False)
    async with serving_app(app) as port:
        await asyncio.to_thread(check_operation, port, path, method, mode)
