"""What one field alone cannot tell: contradictions, what is refused, what has no effect."""

from serve_app.api.parameters import SERVICE_TIERS, Parameter
from serve_app.api.request.fields import Fields
from serve_app.api.values import invalid
from serve_app.config import ApiConfig
from serve_app.errors import InvalidRequestError, PermissionDeniedError
from serve_app.messages import Features, Priority
from serve_app.records.keys import Caller


def check_rules(fields: Fields) -> None:
    """Refuse what contradicts itself or cannot be done.

    Raises:
        InvalidRequestError: In the name of the field to change.
    """
    _check_sides(fields)
    _check_acceleration(fields)
    _check_safety(fields)
    _check_stream(fields)
    _check_mask(fields)


def check_policy(fields: Fields, config: ApiConfig) -> None:
    """Refuse what the operator does not allow.

    Raises:
        PermissionDeniedError: In the name of the field that asks for it.
    """
    if config.allow_unchecked_images or asks_for_safety_checker(fields):
        return
    name = "disable_safety_checker"
    if fields.values[name] is not True:
        name = "enable_safety_checker"
    raise PermissionDeniedError(f"'{name}' is not allowed on this server.", name)


def priority_of(fields: Fields, caller: Caller) -> Priority:
    """Return the class of a request.

    Raises:
        PermissionDeniedError: It asks for a better one than its key may have.
    """
    tier = fields.values["service_tier"]
    priority = SERVICE_TIERS[tier]
    if priority is None:
        return caller.priority
    if priority < caller.highest_priority:
        raise PermissionDeniedError(
            f"This API key's requests are at most of class"
            f" '{caller.highest_priority.name.lower()}', which 'service_tier' {tier!r} is above.",
            "service_tier",
        )
    return priority


def asks_for_safety_checker(fields: Fields) -> bool:
    """Whether the pictures are to be checked, which they are unless the client says no."""
    values = fields.values
    return values["enable_safety_checker"] is not False and not values["disable_safety_checker"]


def ignored_parameters(
    fields: Fields, table: tuple[Parameter, ...], features: Features
) -> tuple[str, ...]:
    """Return the names that were sent and had no effect on the pictures."""
    values = fields.values
    without_effect = [parameter.name for parameter in table if parameter.behaviour == "ignored"]
    if values["image"] is None:
        without_effect.append("strength")
    if values["go_fast"] and not features.has_go_fast:
        without_effect.append("go_fast")
    # Where no checker is loaded, asking for one has no effect; asking for none is what one gets.
    if not features.has_safety_checker and asks_for_safety_checker(fields):
        without_effect += ["enable_safety_checker", "disable_safety_checker"]
    known = [name for field in without_effect for name in fields.given.get(field, ())]
    return (*known, *fields.unknown)


def _check_sides(fields: Fields) -> None:
    width, height = fields.values["width"], fields.values["height"]
    if (width is None) != (height is None):
        raise invalid.missing("width" if width is None else "height")


def _check_acceleration(fields: Fields) -> None:
    acceleration, go_fast = fields.values["acceleration"], fields.values["go_fast"]
    if (acceleration, go_fast) in (("none", True), ("high", False)):
        raise invalid.conflict("acceleration", "acceleration", "go_fast")


def _check_safety(fields: Fields) -> None:
    enable = fields.values["enable_safety_checker"]
    disable = fields.values["disable_safety_checker"]
    if enable is not None and enable == disable:
        raise invalid.conflict(
            "enable_safety_checker", "enable_safety_checker", "disable_safety_checker"
        )


def _check_stream(fields: Fields) -> None:
    if fields.values["stream"] and fields.values["n"] > 1:
        raise invalid.wrong_value("n", fields.values["n"], "Streaming is only supported with n=1.")


def _check_mask(fields: Fields) -> None:
    if fields.values["mask"] is not None and fields.values["image"] is None:
        raise InvalidRequestError("A 'mask' needs an 'image' to edit.", "mask")
