"""The schemas of the bodies say what the API reads."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.api.openapi.body_schemas import edit_form_schema, edit_schema, generation_schema
from serve_app.api.parameters import image_parameters
from serve_app.api.request.fields import read_fields
from serve_app.api.request.form_values import json_fields
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError

CONFIG = ApiConfig()
TABLE = image_parameters(CONFIG)
NAMES = [name for parameter in TABLE for name in parameter.names]

generation = jsonschema_rs.Draft202012Validator(generation_schema(CONFIG))
edit = jsonschema_rs.Draft202012Validator(edit_schema(CONFIG))
edit_form = jsonschema_rs.Draft202012Validator(edit_form_schema(CONFIG))

SCHEMAS = [generation_schema(CONFIG), edit_schema(CONFIG), edit_form_schema(CONFIG)]


def is_read(body: dict[str, Any]) -> bool:
    try:
        read_fields(body, TABLE)
    except InvalidRequestError:
        return False
    return True


# Values of which each is right for some field.
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        2,
        3,
        4,
        50,
        51,
        100,
        101,
        0.5,
        1.0,
        4.5,
        -1,
        2**63,
        2048,
        2049,
        [],
        "",
        "x",
        "1",
        "0.25",
        "1K",
        "16:9",
        "16x9",
        "auto",
        "AUTO",
        "png",
        "JPG",
        "url",
        "high",
        "flux.1-krea-dev",
        "fal-ai/FLUX/krea",
        "square",
        "data:,",
        "https://a.test/1",
        [None],
        {},
        {"width": 1},
        {"width": "1"},
        {"image_url": "data:,"},
        {"file_id": "f"},
        ["data:,"],
    ]
)


@settings(deadline=None)
@given(st.sampled_from(NAMES), VALUES)
@example("prompt", " ")
def test_a_field_is_read_if_the_schema_has_it(name: str, value: object) -> None:
    body = {"prompt": "x", name: value}
    assert generation.is_valid(body) == is_read(body)


@settings(deadline=None)
@given(st.sampled_from(NAMES), VALUES, VALUES)
def test_a_wrong_field_is_wrong_beside_others(name: str, value: object, unknown: object) -> None:
    body = {"prompt": "x", name: value}
    assert generation.is_valid({**body, "unknown": unknown}) == generation.is_valid(body)


@pytest.mark.parametrize("schema", SCHEMAS, ids=["generation", "edit", "form"])
def test_they_are_schemas_and_have_every_name(schema: dict[str, Any]) -> None:
    assert jsonschema_rs.meta.is_valid(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    )
    assert set(NAMES) <= set(schema["properties"])
    assert all(properties["description"] for properties in schema["properties"].values())
    assert schema["required"] == ["prompt"]


@pytest.mark.parametrize("schema", SCHEMAS, ids=["generation", "edit", "form"])
def test_defaults_and_examples_are_valid(schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator({**schema, "required": [], "anyOf": [{}]})
    defaults = {
        name: properties["default"]
        for name, properties in schema["properties"].items()
        if "default" in properties
    }
    assert defaults["num_inference_steps"] == 28
    assert validator.is_valid(defaults)
    for body in schema.get("examples", []):
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(body)


def test_an_alias_says_of_what_and_whose_it_is() -> None:
    properties = generation_schema(CONFIG)["properties"]
    assert properties["guidance"]["description"] == "Replicate's name of `cfg_scale`."
    assert properties["guidance"]["maximum"] == properties["cfg_scale"]["maximum"] == 20
    assert "default" not in properties["guidance"]


def test_the_limits_are_those_of_the_configuration() -> None:
    properties = generation_schema(ApiConfig(max_images=2, max_side_px=512))["properties"]
    assert properties["n"]["maximum"] == properties["num_outputs"]["maximum"] == 2
    assert properties["width"]["maximum"] == 512


@pytest.mark.parametrize("name", ["image", "image[]", "images", "image_url"])
def test_an_edit_needs_an_image_under_any_name(name: str) -> None:
    assert edit.is_valid({"prompt": "x", name: "data:,"})
    assert not edit.is_valid({"prompt": "x"})
    assert not edit.is_valid({name: "data:,"})


def test_a_form_has_files_where_json_has_texts() -> None:
    properties = edit_form_schema(CONFIG)["properties"]
    files = {name for name, schema in properties.items() if schema.get("format") == "binary"}
    assert files == {"image", "mask", "mask_image"}
    assert properties["image[]"]["items"]["format"] == "binary"
    assert properties["image_url"]["format"] == "uri"


def test_a_form_s_fields_are_read_as_its_schema_has_them() -> None:
    sent = {"prompt": "x", "image_url": "data:,", "n": "2", "stream": "false", "cfg_scale": "3.5"}
    form = {**sent, "image_size": {"width": "640"}}
    body = json_fields(form, TABLE)
    assert is_read(body)
    assert edit_form.is_valid({**json_fields(sent, TABLE), "image_size[width]": 640})
    assert not edit_form.is_valid(sent)
