"""A JSON body becomes a checked request; from here on nobody knows the clients' dialects."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.api.model_names import check_text_to_image_model
from serve_app.api.parameters import Fields, image_parameters, read_fields
from serve_app.api.rules import check_rules, ignored_parameters
from serve_app.api.sizes import SizeFields, canvas_of, output_size
from serve_app.config import ApiConfig
from serve_app.messages import Delivery, GenerationParams
from serve_app.model_facts import ModelFacts

# A seed that nobody chose stays exact in JavaScript, whose integers end at 2^53.
NUM_DRAWN_SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class ImagesRequest:
    """What the pictures shall be, and how the client wants to be answered.

    Attributes:
        params: For the pipeline.
        response_format: `url` or `b64_json`; with `url` and bytes in hand the URL is a data URI.
        safety_identifier: The client's name for its own user, to be repeated, if it gave one.
        ignored_parameters: Names that had no effect.
    """

    params: GenerationParams
    response_format: Delivery
    safety_identifier: str | None
    ignored_parameters: tuple[str, ...]


def read_images_request(
    body: Mapping[str, object], request_id: str, config: ApiConfig, facts: ModelFacts
) -> ImagesRequest:
    """Return the request a JSON body makes; a seed that was not given is drawn here.

    Raises:
        InvalidRequestError: A field breaks a rule.
        ModelNotFoundError: It asks for another model.
    """
    check_text_to_image_model(body.get("model"))
    fields = read_fields(body, image_parameters(config))
    check_rules(fields)
    values = fields.values
    return ImagesRequest(
        params=_generation_params(fields, request_id, facts),
        response_format=values["response_format"],
        safety_identifier=values["safety_identifier"] or values["user"],
        ignored_parameters=ignored_parameters(fields),
    )


def _generation_params(fields: Fields, request_id: str, facts: ModelFacts) -> GenerationParams:
    values = fields.values
    output = output_size(SizeFields(**{name: values[name] for name in SizeFields.__slots__}))
    seed = values["seed"]
    has_bytes = values["sync_mode"] or values["response_format"] == "b64_json"
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
    )
