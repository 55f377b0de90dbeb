"""The sentences of a 400: each names the field, the rule and the value."""

from collections.abc import Iterable

from serve_app.errors import InvalidRequestError

MAX_SHOWN_CHARACTERS = 64


def missing(field: str) -> InvalidRequestError:
    """A required field was not sent."""
    return InvalidRequestError(f"Missing required parameter: '{field}'.", field)


def wrong_type(field: str, expected: str) -> InvalidRequestError:
    """A value is not of the field's JSON type; `expected` is such as `an integer`."""
    return InvalidRequestError(f"Invalid type for '{field}': expected {expected}.", field)


def wrong_value(field: str, value: object, rule: str) -> InvalidRequestError:
    """A value breaks a rule; `rule` is a sentence."""
    return InvalidRequestError(f"Invalid value for '{field}': {shown(value)}. {rule}", field)


def not_among(field: str, value: object, supported: Iterable[str]) -> InvalidRequestError:
    """A value is none of the words the field knows."""
    return wrong_value(field, value, f"Supported values are: {', '.join(supported)}.")


def conflict(field: str, *names: str) -> InvalidRequestError:
    """Names of one thing, or of opposites, contradict each other; `field` is the canonical one."""
    together = " and ".join(f"'{name}'" for name in names)
    if field in names:
        return InvalidRequestError(f"Conflicting values for {together}.", field)
    return InvalidRequestError(f"Conflicting values for '{field}': {together} differ.", field)


def shown(value: object) -> str:
    """Return a value as a message may quote it: in JSON's words, escaped, cut short."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
