"""Which adapters a request may name, and how strong it may make them.

An operator lists them by name. A client's `path` is looked up among these names and never opened,
so that it cannot lead to a file that is not listed.
"""

from collections.abc import Collection, Sequence

from serve_app.errors import InvalidRequestError
from serve_app.messages import Lora

MAX_LORAS = 4  # of one request; each costs arithmetic in every step

# fal takes 0 to 4. Below 0 an adapter works the other way round, as those that slide between two
# opposites are meant to.
MIN_SCALE = -4.0
MAX_SCALE = 4.0

MAX_SHOWN_CHARACTERS = 64
MAX_SHOWN_NAMES = 16


def check_loras(loras: Sequence[Lora], names: Collection[str]) -> None:
    """Check a request's adapters.

    The same adapter may come twice; its scales then add up.

    Args:
        loras: Of one request.
        names: Of the operator's catalogue.

    Raises:
        InvalidRequestError: There are too many, one is not in the catalogue, or is too strong.
    """
    if len(loras) > MAX_LORAS:
        raise _invalid("loras", f"{len(loras)} items", f"It must have at most {MAX_LORAS} items.")
    for index, lora in enumerate(loras):
        if lora.path not in names:
            raise _invalid(f"loras[{index}].path", _shown(lora.path), _known(names))
        # Said so that what is not a number is refused too.
        if not MIN_SCALE <= lora.scale <= MAX_SCALE:
            rule = f"It must be from {MIN_SCALE:g} to {MAX_SCALE:g}."
            raise _invalid(f"loras[{index}].scale", f"{lora.scale:g}", rule)


def _known(names: Collection[str]) -> str:
    if not names:
        return "This server has no LoRAs."
    listed = sorted(names)[:MAX_SHOWN_NAMES]
    more = ", …" if len(names) > len(listed) else ""
    return f"This server's LoRAs are: {', '.join(listed)}{more}."


def _invalid(field: str, shown: str, rule: str) -> InvalidRequestError:
    return InvalidRequestError(f"Invalid value for '{field}': {shown}. {rule}", field)


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}…"
