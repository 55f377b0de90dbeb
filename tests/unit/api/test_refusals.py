"""What is not accepted: the error names the field, the rule and the value."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError, ModelNotFoundError
from tests.unit.api.reading import TABLE, read, read_body, refusal, refused


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"n": 11}, "n", "Invalid value for 'n': 11. Must be between 1 and 10."),
        ({"n": 0}, "n", "Invalid value for 'n': 0. Must be between 1 and 10."),
        ({"n": "2"}, "n", "Invalid type for 'n': expected an integer."),
        ({"n": True}, "n", "Invalid type for 'n': expected an integer."),
        ({"n": 1.5}, "n", "Invalid type for 'n': expected an integer."),
        ({"num_images": 11}, "num_images", "Invalid value for 'num_images': 11."),
        ({"seed": -1}, "seed", "Must be between 0 and 9223372036854775807."),
        ({"seed": 2**63}, "seed", "Must be between 0 and"),
        ({"cfg_scale": 20.5}, "cfg_scale", "Invalid value for 'cfg_scale': 20.5."),
        ({"cfg_scale": False}, "cfg_scale", "expected a number"),
        ({"guidance": "4"}, "guidance", "expected a number"),
        ({"steps": 51}, "steps", "Invalid value for 'steps': 51. Must be between 1 and 50."),
        ({"strength": 1.5}, "strength", "Must be between 0 and 1."),
        ({"prompt_strength": -1}, "prompt_strength", "Must be between 0 and 1."),
        (
            {"output_format": "bmp"},
            "output_format",
            "'bmp'. Supported values are: png, jpeg, gif, webp, avif.",
        ),
        ({"output_format": 1}, "output_format", "expected a string"),
        ({"output_compression": 101}, "output_compression", "Must be between 0 and 100."),
        ({"response_format": "URL"}, "response_format", "Supported values are: url, b64_json."),
        ({"sync_mode": 1}, "sync_mode", "expected a boolean"),
        ({"partial_images": 4}, "partial_images", "Must be between 0 and 3."),
        ({"user": 5}, "user", "expected a string"),
        ({"acceleration": "turbo"}, "acceleration", "none, regular, high"),
        ({"prompt": ""}, "prompt", "Must not be empty."),
        ({"prompt": " \n\t"}, "prompt", "Must not be empty."),
        ({"prompt": ["x"]}, "prompt", "expected a string"),
        ({"prompt": "x" * 32001}, "prompt", "at most 32000 characters; this has 32001."),
        ({"size": "4096x4096"}, "size", "at most 2048 pixels on each side."),
        ({"size": "512x512", "aspect_ratio": "banana"}, "aspect_ratio", "'banana'"),
        ({"width": 800}, "height", "Missing required parameter: 'height'."),
        ({"height": 800}, "width", "Missing required parameter: 'width'."),
        ({"width": 2049, "height": 600}, "width", "at most 2048 pixels"),
        ({"width": "800", "height": 600}, "width", "expected an integer"),
        ({"image_size": {"width": 0}}, "image_size", "1 to 14142 pixels"),
        ({"image_size": [1, 2]}, "image_size", "expected a string or an object"),
        ({"model": 5}, "model", "Invalid type for 'model': expected a string."),
    ],
)
def test_bad_values_are_refused_by_name(body: dict[str, Any], param: str, message: str) -> None:
    error = refused(**body)
    assert error.param == param
    assert message in error.message


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        (
            {"cfg_scale": 3, "guidance_scale": 5},
            "cfg_scale",
            "Conflicting values for 'cfg_scale' and 'guidance_scale'.",
        ),
        (
            {"guidance_scale": 3, "guidance": 5},
            "cfg_scale",
            "Conflicting values for 'cfg_scale': 'guidance_scale' and 'guidance' differ.",
        ),
        ({"n": 2, "num_images": 3}, "n", "'n' and 'num_images'"),
        ({"n": 2, "num_images": 2, "num_outputs": 1}, "n", "'n' and 'num_outputs'"),
        ({"acceleration": "none", "go_fast": True}, "acceleration", "go_fast"),
        ({"acceleration": "high", "go_fast": False}, "acceleration", "go_fast"),
        (
            {"enable_safety_checker": False, "disable_safety_checker": False},
            "enable_safety_checker",
            "disable_safety_checker",
        ),
        ({"stream": True, "n": 2}, "n", "Streaming is only supported with n=1."),
    ],
)
def test_contradictions_name_the_canonical_field(
    body: dict[str, Any], param: str, message: str
) -> None:
    error = refused(**body)
    assert error.param == param
    assert message in error.message


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"stream": True, "n": 2}, "n", "Streaming is only supported with n=1."),
        ({"mask": "data:image/png;base64,AAAA"}, "mask", "needs an 'image'"),
        ({"image": "ftp://example.com/a.png"}, "image", "Must be a file"),
        ({"images": [{"file_id": "file-1"}]}, "image", "file_id"),
        ({"images": ["https://a.test/1", "https://a.test/2"]}, "image", "multiple input images"),
    ],
)
def test_impossible_wishes_are_refused(body: dict[str, Any], param: str, message: str) -> None:
    error = refused(**body)
    assert error.param == param
    assert message in error.message


def test_another_model_is_reported_before_a_bad_parameter() -> None:
    with pytest.raises(ModelNotFoundError) as error:
        read(model="dall-e-3", n=0)
    assert error.value.message == "Model 'dall-e-3' not found. Did you mean 'flux.1-krea-dev'?"
    assert error.value.param == "model"


def test_a_server_can_allow_less() -> None:
    config = ApiConfig(max_images=2, max_side_px=512)
    for body in ({"n": 3}, {"size": "513x512"}):
        with pytest.raises(InvalidRequestError):
            read_body({"prompt": "x", **body}, config)


@given(
    st.dictionaries(
        st.sampled_from([name for parameter in TABLE for name in parameter.names]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text()
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(), st.integers()),
        max_size=4,
    )
)
def test_any_body_is_read_or_refused_in_a_field_s_name(body: dict[str, Any]) -> None:
    error = refusal(body)
    if isinstance(error, ModelNotFoundError):
        assert (type(body["model"]), error.param) == (str, "model")
    elif error is not None:
        assert error.param in {name for parameter in TABLE for name in parameter.names}
        assert error.param in error.message.lower()
        assert len(error.message) < 300


async def test_a_refusal_over_http_has_the_whole_envelope(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/images/generations", json={"prompt": "x", "n": 11})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "error": {
            "message": "Invalid value for 'n': 11. Must be between 1 and 10.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "INVALID_REQUEST",
        }
    }
