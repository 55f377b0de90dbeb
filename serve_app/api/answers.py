"""The pictures of a request in the shape its client expects."""

import base64
import time

from serve_app.api.images_request import ImagesRequest
from serve_app.api.model_names import MODEL_ID
from serve_app.api.schema import (
    CostComponent,
    CostEstimate,
    Image,
    ImagesResponse,
    Metadata,
    TokensDetails,
    Usage,
)
from serve_app.api.sizes import canvas_of
from serve_app.messages import GenerationParams, GenerationResult, PromptFacts, WrittenImage

PROVIDER = "krea-serve"
MICROS = 10**6

# FLUX's own step. Usage counts by it whatever the served model's is, so that bills compare.
TOKEN_SIDE_PX = 16


def images_response(
    request: ImagesRequest, result: GenerationResult, media_url: str, price_usd: float
) -> ImagesResponse:
    """Return the answer of a finished request.

    Args:
        request: As it was read.
        result: Its pictures.
        media_url: Where stored pictures are downloaded: their names follow after a slash.
        price_usd: Of one picture.
    """
    params = request.params
    first = result.images[0]
    return ImagesResponse(
        id=params.request_id,
        created=int(time.time()),
        size=str(params.output),
        output_format=first.output_format,
        data=tuple(_image(request, image, media_url) for image in result.images),
        usage=_usage(params, first.facts),
        metadata=_metadata(request, first.facts, price_usd),
        safety_identifier=request.safety_identifier or None,
    )


def cost_estimate(params: GenerationParams, price_usd: float) -> CostEstimate:
    """Return what a request would cost, without a word of an answer that really ran."""
    cost_micros = round(params.num_images * price_usd * MICROS)
    component = CostComponent(
        quantity=params.num_images,
        billable_quantity=params.num_images,
        unit_price=price_usd,
        total_cost=cost_micros,
    )
    return CostEstimate(
        model=MODEL_ID,
        provider=PROVIDER,
        total_cost_micros=cost_micros,
        components=(component,),
    )


def _image(request: ImagesRequest, image: WrittenImage, media_url: str) -> Image:
    prompt = request.params.prompt
    if image.content is None:
        return Image(url=f"{media_url}/{image.object_name}", revised_prompt=prompt)
    encoded = base64.b64encode(image.content).decode("ascii")
    if request.response_format == "url":
        data_uri = f"data:image/{image.output_format};base64,{encoded}"
        return Image(url=data_uri, revised_prompt=prompt)
    return Image(b64_json=encoded, revised_prompt=prompt)


def _usage(params: GenerationParams, facts: PromptFacts) -> Usage:
    canvas = canvas_of(params.output, TOKEN_SIDE_PX)
    tokens_per_image = (canvas.width // TOKEN_SIDE_PX) * (canvas.height // TOKEN_SIDE_PX)
    output_tokens = params.num_images * tokens_per_image
    return Usage(
        input_tokens=facts.num_tokens,
        input_tokens_details=TokensDetails(text_tokens=facts.num_tokens, image_tokens=0),
        output_tokens=output_tokens,
        output_tokens_details=TokensDetails(text_tokens=0, image_tokens=output_tokens),
        total_tokens=facts.num_tokens + output_tokens,
    )


def _metadata(request: ImagesRequest, facts: PromptFacts, price_usd: float) -> Metadata:
    return Metadata(
        model=MODEL_ID,
        executed_model=f"{PROVIDER}/{MODEL_ID}",
        provider=PROVIDER,
        provider_name=PROVIDER,
        cost=round(request.params.num_images * price_usd * MICROS) / MICROS,
        seed=request.params.seed,
        ignored_parameters=request.ignored_parameters,
        prompt_truncated=True if facts.is_truncated else None,
    )
