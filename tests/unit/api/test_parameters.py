"""Every parameter of the table: its names, its default, its effect."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.parameters import Dialect
from serve_app.messages import Size
from tests.unit.api.reading import TABLE, read, refused


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
