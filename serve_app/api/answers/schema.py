"""The JSON documents of the API, in OpenAI's and Lumenfall's words."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve_app.records.rows import Status


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


class PartialImageEvent(Document):
    """An unfinished picture of a stream."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    b64_json: str
    partial_image_index: int
    created_at: int
    size: str
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    output_format: str


class CompletedEvent(Document):
    """The picture that ends a stream."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    created_at: int
    size: str
    quality: Literal["auto"] = "auto"
    background: Literal["opaque"] = "opaque"
    output_format: str
    usage: Usage


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
    """One model of the list; `schema`, that of a request, only if it was asked for."""

    model_config = ConfigDict(serialize_by_alias=True)

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
    has_safety_checker: bool
    aliases: tuple[str, ...]
    # `schema` is a name of pydantic's own.
    request_schema: Annotated[dict[str, Any] | None, Field(alias="schema")] = None


class ModelList(Document):
    """Every model that is served."""

    object: Literal["list"] = "list"
    data: tuple[Model, ...]


class RequestEntry(Document):
    """One request of the history; every key is always there."""

    id: str
    object: Literal["request"]
    created_at: str
    model: str
    modality: Literal["image"]
    endpoint: str
    status: Status
    cost: float
    currency: Literal["usd"]
    duration_ms: int | None
    key_id: str | None
    error_code: str | None
    error_message: str | None
    session_id: str | None
    trace_id: str | None
    user: str | None
    request_size_bytes: int
    response_size_bytes: int | None


class HistorySummary(Document):
    """All pages of a list of requests together; in US dollars."""

    count: int
    total_cost: float
    currency: Literal["usd"] = "usd"


class RequestList(Document):
    """A page of the history, the newest request first; `summary` only if it was asked for."""

    object: Literal["list"] = "list"
    data: tuple[RequestEntry, ...]
    next_page_url: str | None
    previous_page_url: str | None
    summary: HistorySummary | None = None


class AvailableBalance(Document):
    """An amount that can be spent; None has no end."""

    amount: float | None = None
    currency: Literal["usd"] = "usd"


class Balance(Document):
    """The account of a server that sends its bills afterwards, if at all."""

    object: Literal["balance"] = "balance"
    billing_type: Literal["postpaid"] = "postpaid"
    available: AvailableBalance


class Error(Document):
    """What went wrong; all four keys are always there."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorEnvelope(Document):
    """The body of every answer that is not a success."""

    error: Error


class ErrorEvent(ErrorEnvelope):
    """What ends a stream that failed; only a nested error is raised by OpenAI's clients."""

    type: Literal["error"] = "error"
