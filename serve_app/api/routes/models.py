"""GET /v1/models: the one model, under all its names."""

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.answers.documents import document_response
from serve_app.api.answers.schema import Model, ModelList
from serve_app.api.openapi.body_schemas import generation_schema
from serve_app.api.services import services_of
from serve_app.api.values.model_names import ALIASES, EDIT_ONLY_ALIASES, check_model
from serve_app.model_facts import MODEL_ID

DIALECT = "https://json-schema.org/draft/2020-12/schema"
CREATED_AT_S = 1753920000  # 31 July 2025, the day of its release


async def list_models(request: Request) -> Response:
    """List what is served."""
    return document_response(ModelList(data=(_model(request),)))


async def get_model(request: Request) -> Response:
    """Describe the model of a name, which may hold slashes."""
    check_model(request.path_params["name"])
    model = _model(request)
    if request.query_params.get("schema", "").lower() not in ("true", "1"):
        return document_response(model)
    schema = generation_schema(services_of(request).config)
    described = model.model_copy(update={"request_schema": {"$schema": DIALECT, **schema}})
    return document_response(described)


def _model(request: Request) -> Model:
    services = services_of(request)
    return Model(
        id=MODEL_ID,
        created=CREATED_AT_S,
        owned_by="black-forest-labs",
        name="FLUX.1 Krea [dev]",
        description="Text to image with a natural look, by Black Forest Labs and Krea.",
        creator_organization="Black Forest Labs",
        capabilities=("text-to-image", "image-edit"),
        starting_price=services.config.price_usd,
        has_safety_checker=services.features.has_safety_checker,
        aliases=(*ALIASES, *EDIT_ONLY_ALIASES),
    )
