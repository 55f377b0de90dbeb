"""Bodies read as a request would be."""

from typing import Any

import pytest

from serve_app.api.parameters import image_parameters
from serve_app.api.request.images_request import ImagesRequest, checked_fields, images_request
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError, RequestError
from serve_app.messages import Features
from serve_app.model_facts import ModelFacts
from serve_app.records.keys import ANONYMOUS

FACTS = ModelFacts(canvas_multiple=16, max_sequence_length=512)
CONFIG = ApiConfig()
TABLE = image_parameters(CONFIG)


def read_body(body: dict[str, Any], config: ApiConfig = CONFIG) -> ImagesRequest:
    fields = checked_fields(body, "image_generation", config)
    return images_request(
        fields, None, "image_generation", "req_1", config, FACTS, Features(), ANONYMOUS
    )


def read(**body: Any) -> ImagesRequest:
    return read_body({"prompt": "x", **body})


def refused(**body: Any) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as error:
        read(**body)
    assert error.value.param is not None
    assert error.value.param in error.value.message.lower()
    return error.value


def refusal(body: dict[str, Any]) -> RequestError | None:
    try:
        read_body(body)
    except RequestError as error:
        return error
    return None
