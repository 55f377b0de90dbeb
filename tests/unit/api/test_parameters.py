"""Every parameter of the table: its names, its type, its range, its default, its effect."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.parameters import Dialect, image_parameters
from serve_app.api.request.images_request import ImagesRequest, checked_fields, images_request
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError, ModelNotFoundError, RequestError
from serve_app.messages import Features, Size
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


def test_the_defaults() -> None:
    params = read().params
    assert params.num_images == 1
    assert params.output == params.canvas == Size(1024, 1024)
    assert (params.num_inference_steps, params.guidance_scale) == (28, 4.5)
    assert (params.output_format, params.output_compression) == ("png", 100)
    assert params.delivery == "url"
    assert read().response_format == "url"
    assert read().ignored_parameters == ()


def test_a_seed_that_is_not_given_is_drawn_and_exact_in_javascript() -> None:
    seeds = {read().params.seed for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**32 for seed in seeds)


@given(st.integers(0, 2**63 - 1))
def test_every_seed_passes_unchanged(seed: int) -> None:
    assert read(seed=seed).params.seed == seed


def test_a_float_without_a_fraction_is_an_integer() -> None:
    params = read(n=2.0, seed=7.0, width=640.0, height=480).params
    assert (params.num_images, params.seed, params.output) == (2, 7, Size(640, 480))


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("n", "num_images", 3),
        ("num_images", "num_images", 3),
        ("num_outputs", "num_images", 3),
        ("cfg_scale", "guidance_scale", 2.5),
        ("guidance_scale", "guidance_scale", 2.5),
        ("guidance", "guidance_scale", 2.5),
        ("num_inference_steps", "num_inference_steps", 9),
        ("steps", "num_inference_steps", 9),
        ("output_compression", "output_compression", 60),
        ("output_quality", "output_compression", 60),
    ],
)
def test_every_name_of_a_parameter_has_its_effect(name: str, attribute: str, value: object) -> None:
    assert getattr(read(**{name: value}).params, attribute) == value


@pytest.mark.parametrize(
    ("name", "dialect", "names"),
    [
        ("n", "openai", ("n",)),
        ("n", "lumenfall", ("n",)),
        ("n", "fal", ("num_images",)),
        ("seed", "openai", ()),
        ("seed", "replicate", ("seed",)),
        ("num_inference_steps", "lumenfall", ("num_inference_steps", "steps")),
        ("image", "openai", ("image", "image[]", "images")),
        ("go_fast", "lumenfall", ()),
    ],
)
def test_each_dialect_has_its_own_names(
    name: str, dialect: Dialect, names: tuple[str, ...]
) -> None:
    (parameter,) = [parameter for parameter in TABLE if parameter.name == name]
    assert parameter.names_in(dialect) == names


@pytest.mark.parametrize("parameter", TABLE, ids=lambda parameter: parameter.name)
def test_null_is_not_given(parameter: Any) -> None:
    if parameter.is_required:
        assert refused(prompt=None).message == "Missing required parameter: 'prompt'."
    else:
        nulls = dict.fromkeys(parameter.names)
        assert read(seed=1, **{k: v for k, v in nulls.items() if k != "seed"}) == read(seed=1)


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


def test_equal_values_under_several_names_are_fine() -> None:
    assert read(n=2, num_images=2.0, num_outputs=2).params.num_images == 2


def test_what_has_no_effect_is_reported() -> None:
    request = read(
        foo=1,
        negative_prompt="y",
        quality="hd",
        strength=0.5,
        go_fast=True,
        enable_safety_checker=True,
        disable_safety_checker=False,
    )
    assert set(request.ignored_parameters) == {
        "foo",
        "negative_prompt",
        "quality",
        "strength",
        "go_fast",
        "enable_safety_checker",
        "disable_safety_checker",
    }


def test_what_has_its_effect_is_not_reported() -> None:
    request = read(
        model="flux.1-krea-dev",
        n=2,
        size="512x512",
        seed=1,
        steps=4,
        guidance=3,
        output_format="jpeg",
        output_quality=50,
        user="u",
        acceleration="regular",
        go_fast=False,
        stream=False,
        disable_safety_checker=True,
        nothing=None,
    )
    assert request.ignored_parameters == ()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"safety_identifier": "a", "user": "b"}, "a"),
        ({"safety_identifier": "", "user": "b"}, "b"),
        ({"user": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_safety_identifier_wins_over_user(body: dict[str, Any], expected: str | None) -> None:
    assert read(**body).safety_identifier == expected


@pytest.mark.parametrize(
    ("body", "delivery", "response_format"),
    [
        ({}, "url", "url"),
        ({"response_format": "b64_json"}, "b64_json", "b64_json"),
        ({"sync_mode": True}, "b64_json", "url"),
        ({"sync_mode": True, "response_format": "b64_json"}, "b64_json", "b64_json"),
    ],
)
def test_what_is_not_kept_is_asked_for_as_bytes(
    body: dict[str, Any], delivery: str, response_format: str
) -> None:
    request = read(**body)
    assert (request.params.delivery, request.response_format) == (delivery, response_format)


@pytest.mark.parametrize("spelling", ["jpg", "JPG", "jpeg", "Jpeg"])
def test_jpg_is_jpeg(spelling: str) -> None:
    assert read(output_format=spelling).params.output_format == "jpeg"


@pytest.mark.parametrize(
    "name",
    [
        "flux.1-krea-dev",
        "FLUX.1-Krea-Dev",
        "fal/flux.1-krea-dev",
        "replicate/flux.1-krea-dev",
        "black-forest-labs/FLUX.1-Krea-dev",
        "black-forest-labs/flux-krea-dev",
        "fal-ai/flux-1/krea",
        "fal-ai/flux/krea",
    ],
)
def test_the_model_s_names(name: str) -> None:
    assert read(model=name, seed=1) == read(seed=1)


@pytest.mark.parametrize(
    "name",
    [
        "fal/flux.1-krea-dev-edit",
        "fal-ai/flux-1/krea/image-to-image",
        "FAL-AI/flux/krea/image-to-image",
    ],
)
def test_names_for_edits_make_no_pictures_from_text(name: str) -> None:
    error = refused(model=name)
    assert error.param == "model"
    assert "does not support text-to-image. Supported modes: image-edit" in error.message


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
