"""The contract's own size cases, where its folder is at hand."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from serve_app.api.parameters import image_parameters
from serve_app.api.request.fields import read_fields
from serve_app.api.request.rules import check_rules
from serve_app.api.request.sizes import SizeFields, canvas_of, nearest, output_size
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError
from serve_app.messages import Size

VECTORS_FILE = Path(__file__).parents[5] / "shared" / "api" / "size_vectors.json"


def load(kind: str) -> list[dict[str, Any]]:
    if not VECTORS_FILE.is_file():
        return []
    cases: list[dict[str, Any]] = json.loads(VECTORS_FILE.read_text(encoding="utf-8"))[kind]
    return cases


def size(text: str) -> Size:
    width, height = text.split("x")
    return Size(int(width), int(height))


def resolve(case: dict[str, Any]) -> Size:
    body = {"prompt": "x", **case["params"]}
    fields = read_fields(body, image_parameters(ApiConfig()))
    check_rules(fields)
    chosen = SizeFields(**{name: fields.values[name] for name in SizeFields.__slots__})
    image = size(case["input_image"]) if "input_image" in case else None
    return output_size(chosen, image)


def number(text: str) -> Fraction:
    width, _, height = text.partition(":")
    return Fraction(width) / Fraction(height or "1")


@pytest.mark.parametrize("case", load("vectors"), ids=lambda case: case["name"])
def test_size_vector(case: dict[str, Any]) -> None:
    if case.get("status") == 400:
        with pytest.raises(InvalidRequestError) as refused:
            resolve(case)
        assert refused.value.param == case["error_param"]
        assert case["error_param"] in refused.value.message
    else:
        output = resolve(case)
        assert str(output) == case["output"]
        assert str(canvas_of(output, 16)) == case["canvas"]


@pytest.mark.parametrize("case", load("generic"), ids=lambda case: case["input"])
def test_nearest_vector(case: dict[str, Any]) -> None:
    supported = [number(text) for text in case["supported"]]
    assert nearest(supported, number(case["input"])) == number(case["expect"])
