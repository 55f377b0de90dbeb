"""A body becomes a checked request; from here on nobody knows the clients' dialects."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serve_app.api.input_images.source import SourceImage
from serve_app.api.parameters import INPUT_IMAGES, image_parameters
from serve_app.api.request.fields import Fields, read_fields
from serve_app.api.request.rules import (
    asks_for_safety_checker,
    check_rules,
    ignored_parameters,
    priority_of,
)
from serve_app.api.request.sizes import SizeFields, canvas_of, output_size
from serve_app.api.values.model_names import check_model_field
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError
from serve_app.lora_catalogue import check_loras
from serve_app.messages import Delivery, Features, GenerationParams
from serve_app.model_facts import ModelFacts
from serve_app.records.keys import Caller

Operation = Literal["image_generation", "image_edit"]

# A seed that nobody chose stays exact in JavaScript, whose integers end at 2^53.
NUM_DRAWN_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class ImagesRequest:
    """What the pictures shall be, and how the client wants to be answered.

    Attributes:
        operation: Which of the two routes it came by.
        params: For the pipeline.
        response_format: `url` or `b64_json`; with `url` and bytes in hand the URL is a data URI.
        is_streamed: Whether the answer is a stream of events.
        safety_identifier: The client's name for its own user, to be repeated, if it gave one.
        ignored_parameters: Names that had no effect.
    """

    operation: Operation
    params: GenerationParams
    response_format: Delivery
    is_streamed: bool
    safety_identifier: str | None
    ignored_parameters: tuple[str, ...]


def checked_fields(body: Mapping[str, object], operation: Operation, config: ApiConfig) -> Fields:
    """Return what a body says, with every rule checked that needs no pixels.

    Raises:
        InvalidRequestError: A field breaks a rule.
        ModelNotFoundError: It asks for another model.
    """
    # An edit without an image lacks that, and not another model.
    has_image = operation == "image_edit" or _has_image(body)
    check_model_field(body.get("model"), has_image=has_image)
    fields = read_fields(body, image_parameters(config))
    check_rules(fields)
    if operation == "image_edit" and fields.values["image"] is None:
        raise InvalidRequestError("Missing required parameter: 'image'.", "image")
    return fields


def images_request(
    fields: Fields,
    source: SourceImage | None,
    operation: Operation,
    request_id: str,
    config: ApiConfig,
    facts: ModelFacts,
    features: Features,
    caller: Caller,
) -> ImagesRequest:
    """Return the request that some fields make; a seed that was not given is drawn here.

    Args:
        fields: As `checked_fields` returned them.
        source: The picture to edit, if there is one.
        operation: The route.
        request_id: For the pipeline and the answer.
        config: What the limits are.
        facts: Of the served model.
        features: What the application was built with.
        caller: Who asks.

    Raises:
        InvalidRequestError: It names an adapter that there is not.
        PermissionDeniedError: It asks for more than its key may have.
    """
    values = fields.values
    table = image_parameters(config)
    check_loras(values["loras"] or (), features.lora_names)
    return ImagesRequest(
        operation=operation,
        params=_generation_params(fields, source, request_id, facts, caller),
        response_format=values["response_format"],
        is_streamed=values["stream"],
        safety_identifier=values["safety_identifier"] or values["user"],
        ignored_parameters=ignored_parameters(fields, table, features),
    )


def _generation_params(
    fields: Fields,
    source: SourceImage | None,
    request_id: str,
    facts: ModelFacts,
    caller: Caller,
) -> GenerationParams:
    values = fields.values
    sizes = SizeFields(**{name: values[name] for name in SizeFields.__slots__})
    output = output_size(sizes, None if source is None else source.size)
    seed = values["seed"]
    has_bytes = values["sync_mode"] or values["stream"] or values["response_format"] == "b64_json"
    return GenerationParams(
        request_id=request_id,
        prompt=values["prompt"],
        num_images=values["n"],
        seed=secrets.randbelow(NUM_DRAWN_SEEDS) if seed is None else seed,
        canvas=canvas_of(output, facts.canvas_multiple),
        output=output,
        num_inference_steps=values["num_inference_steps"],
        guidance_scale=values["cfg_scale"],
        output_format=values["output_format"],
        output_compression=values["output_compression"],
        delivery="b64_json" if has_bytes else "url",
        input_image=None if source is None else source.fitted(output, values["strength"]),
        num_previews=values["partial_images"] if values["stream"] else 0,
        is_safety_checked=asks_for_safety_checker(fields),
        priority=priority_of(fields, caller),
        tenant=caller.key_id or "",
        acceleration=values["acceleration"] or "none",
        is_fast=values["go_fast"] is True,
        loras=values["loras"] or (),
    )


def _has_image(body: Mapping[str, object]) -> bool:
    names = next(p.names for p in INPUT_IMAGES if p.name == "image")
    return any(body.get(name) not in (None, []) for name in names)
