"""GET /v1/models: the one model, under all its names."""

from starlette.requests import Request
from starlette.responses import Response

from serve_app.api.documents import document_response
from serve_app.api.model_names import ALIASES, EDIT_ONLY_ALIASES, MODEL_ID, check_model
from serve_app.api.schema import Model, ModelList
from serve_app.api.services import services_of

CREATED_AT_S = 1753920000  # 31 July 2025, the day of its release


async def list_models(request: Request) -> Response:
    """List what is served."""
    return document_response(ModelList(data=(_model(request),)))


async def get_model(request: Request) -> Response:
    """Describe the model of a name, which may hold slashes."""
    check_model(request.path_params["name"])
    return document_response(_model(request))


def _model(request: Request) -> Model:
    return Model(
        id=MODEL_ID,
        created=CREATED_AT_S,
        owned_by="black-forest-labs",
        name="FLUX.1 Krea [dev]",
        description="Text to image with a natural look, by Black Forest Labs and Krea.",
        creator_organization="Black Forest Labs",
        capabilities=("text-to-image",),
        starting_price=services_of(request).config.price_usd,
        aliases=(*ALIASES, *EDIT_ONLY_ALIASES),
    )
