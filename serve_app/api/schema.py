"""The JSON documents of the API, in OpenAI's and Lumenfall's words."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """An answer's JSON; never changed after it is made."""

    model_config = ConfigDict(frozen=True)


class Image(Document):
    """One picture: exactly one of `url` and `b64_json`."""

    url: str | None = None
    b64_json: str | None = None
    revised_prompt: str


class TokensDetails(Document):
    """Tokens by kind."""

    text_tokens: int
    image_tokens: int


class Usage(Document):
    """Tokens of one request; an image token is 16x16 pixels of the canvas."""

    input_tokens: int
    input_tokens_details: TokensDetails
    output_tokens: int
    output_tokens_details: TokensDetails
    total_tokens: int


class Metadata(Document):
    """Who made the pictures, from which seed, at what cost."""

    model: str
    executed_model: str
    provider: str
    provider_name: str
    cost: float
    cost_currency: str = "USD"
    seed: int
    ignored_parameters: tuple[str, ...]
    prompt_truncated: Literal[True] | None = None


class ImagesResponse(Document):
    """The answer of both image routes; what is None is left out."""

    id: str
    created: int
    size: str
    output_format: str
    background: Literal["opaque"] = "opaque"
    data: tuple[Image, ...]
    usage: Usage
    metadata: Metadata
    safety_identifier: str | None = None


class CostComponent(Document):
    """One line of an estimate; `total_cost` is in millionths of the currency."""

    type: Literal["output"] = "output"
    metric: Literal["image"] = "image"
    quantity: int
    billable_quantity: int
    unit_price: float
    total_cost: int


class CostEstimate(Document):
    """The answer of a dry run."""

    estimated: Literal[True] = True
    model: str
    provider: str
    total_cost_micros: int
    currency: str = "USD"
    components: tuple[CostComponent, ...]


class Model(Document):
    """One model of the list."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    name: str
    description: str
    creator_organization: str
    modality: Literal["image"] = "image"
    capabilities: tuple[str, ...]
    starting_price: float
    aliases: tuple[str, ...]


class ModelList(Document):
    """Every model that is served."""

    object: Literal["list"] = "list"
    data: tuple[Model, ...]


class Error(Document):
    """What went wrong; all four keys are always there."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(Document):
    """The body of every answer that is not a success."""

    error: Error
