"""The names of the one model, and what each may be used for."""

from serve_app.api.values import invalid
from serve_app.errors import InvalidRequestError, ModelNotFoundError
from serve_app.model_facts import MODEL_ID

ALIASES = (
    "fal/flux.1-krea-dev",
    "replicate/flux.1-krea-dev",
    "black-forest-labs/FLUX.1-Krea-dev",
    "black-forest-labs/flux-krea-dev",
    "fal-ai/flux-1/krea",
    "fal-ai/flux/krea",
)
EDIT_ONLY_ALIASES = (
    "fal/flux.1-krea-dev-edit",
    "fal-ai/flux-1/krea/image-to-image",
    "fal-ai/flux/krea/image-to-image",
)
ALL_NAMES = (MODEL_ID, *ALIASES, *EDIT_ONLY_ALIASES)

_KNOWN = frozenset(name.lower() for name in ALL_NAMES)
_EDIT_ONLY = frozenset(name.lower() for name in EDIT_ONLY_ALIASES)


def check_model(name: str) -> None:
    """Check that a name, in any case, is one of the served model.

    Raises:
        ModelNotFoundError: It is not.
    """
    if _lower(name) not in _KNOWN:
        message = f"Model {invalid.shown(name)} not found. Did you mean '{MODEL_ID}'?"
        raise ModelNotFoundError(message, "model")


def check_model_field(name: object, *, has_image: bool) -> None:
    """Check the `model` field of a request; null is the served model.

    Raises:
        InvalidRequestError: It is not a string, or a name for edits only and there is no image.
        ModelNotFoundError: It is another model.
    """
    if name is None:
        return
    if not isinstance(name, str):
        raise invalid.wrong_type("model", "a string")
    check_model(name)
    if _lower(name) in _EDIT_ONLY and not has_image:
        raise InvalidRequestError(
            f"Model '{name}' does not support text-to-image. Supported modes: image-edit", "model"
        )


def _lower(name: str) -> str:
    # `str.lower` also makes a "k" of the sign for kelvin.
    return name.lower() if name.isascii() else name
