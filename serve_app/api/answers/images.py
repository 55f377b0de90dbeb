"""The pictures of a request in the shape its client expects."""

import base64
import time
from collections.abc import Callable

from serve_app.api.answers.schema import (
    CostComponent,
    CostEstimate,
    Image,
    ImagesResponse,
    Metadata,
    TokensDetails,
    Usage,
)
from serve_app.api.request.images_request import ImagesRequest
from serve_app.api.request.sizes import canvas_of
from serve_app.messages import GenerationParams, GenerationResult, PromptFacts, WrittenImage
from serve_app.model_facts import MODEL_ID

PROVIDER = "krea-serve"
MICROS = 10**6

# FLUX's own step. Usage counts by it whatever the served model's is, so that bills compare.
TOKEN_SIDE_PX = 16


def images_response(
    request: ImagesRequest,
    result: GenerationResult,
    url_of: Callable[[str], str],
    price_usd: float,
) -> ImagesResponse:
    """Return the answer of a finished request.

    Args:
        request: As it was read.
        result: Its pictures.
        url_of: From the name of a stored picture to where it is downloaded.
        price_usd: Of one picture.
    """
    params = request.params
    first = result.images[0]
    return ImagesResponse(
        id=params.request_id,
        created=int(time.time()),
        size=str(params.output),
        output_format=first.output_format,
        data=tuple(_image(request, image, url_of) for image in result.images),
        usage=usage_of(params, first.facts),
        metadata=_metadata(request, first.facts, price_usd),
        safety_identifier=request.safety_identifier or None,
    )


def cost_estimate(params: GenerationParams, price_usd: float) -> CostEstimate:
    """Return what a request would cost, without a word of an answer that really ran."""
    total_cost = cost_micros(params, price_usd)
    component = CostComponent(
        quantity=params.num_images,
        billable_quantity=params.num_images,
        unit_price=price_usd,
        total_cost=total_cost,
    )
    return CostEstimate(
        model=MODEL_ID,
        provider=PROVIDER,
        total_cost_micros=total_cost,
        components=(component,),
    )


def cost_micros(params: GenerationParams, price_usd: float) -> int:
    """Return what a request costs, in millionths of a US dollar."""
    return round(params.num_images * price_usd * MICROS)


def usage_of(params: GenerationParams, facts: PromptFacts) -> Usage:
    """Return what a request used."""
    canvas = canvas_of(params.output, TOKEN_SIDE_PX)
    tokens_per_image = (canvas.width // TOKEN_SIDE_PX) * (canvas.height // TOKEN_SIDE_PX)
    input_image_tokens = 0 if params.input_image is None else tokens_per_image
    input_tokens = facts.num_tokens + input_image_tokens
    output_tokens = params.num_images * tokens_per_image
    return Usage(
        input_tokens=input_tokens,
        input_tokens_details=TokensDetails(
            text_tokens=facts.num_tokens, image_tokens=input_image_tokens
        ),
        output_tokens=output_tokens,
        output_tokens_details=TokensDetails(text_tokens=0, image_tokens=output_tokens),
        total_tokens=input_tokens + output_tokens,
    )


def _image(request: ImagesRequest, image: WrittenImage, url_of: Callable[[str], str]) -> Image:
    prompt = request.params.prompt
    if image.object_name is not None:
        return Image(url=url_of(image.object_name), revised_prompt=prompt)
    assert image.content is not None, "a picture is stored or in the answer"
    encoded = base64.b64encode(image.content).decode("ascii")
    if request.response_format == "url":
        data_uri = f"data:image/{image.output_format};base64,{encoded}"
        return Image(url=data_uri, revised_prompt=prompt)
    return Image(b64_json=encoded, revised_prompt=prompt)


def _metadata(request: ImagesRequest, facts: PromptFacts, price_usd: float) -> Metadata:
    return Metadata(
        model=MODEL_ID,
        executed_model=f"{PROVIDER}/{MODEL_ID}",
        provider=PROVIDER,
        provider_name=PROVIDER,
        cost=cost_micros(request.params, price_usd) / MICROS,
        seed=request.params.seed,
        ignored_parameters=request.ignored_parameters,
        prompt_truncated=True if facts.is_truncated else None,
    )
