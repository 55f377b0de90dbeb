"""What one field alone cannot tell: contradictions, what is refused, what has no effect."""

from serve_app.api import invalid
from serve_app.api.parameters import Fields


def check_rules(fields: Fields) -> None:
    """Refuse what contradicts itself or cannot be done.

    Raises:
        InvalidRequestError: In the name of the field to change.
    """
    _check_sides(fields)
    _check_acceleration(fields)
    _check_safety(fields)
    _check_stream(fields)


def ignored_parameters(fields: Fields) -> tuple[str, ...]:
    """Return the names that were sent and had no effect on the pictures."""
    without_effect = ["strength"]
    if fields.values["acceleration"] != "none":
        without_effect.append("acceleration")
    if fields.values["go_fast"]:
        without_effect.append("go_fast")
    # No checker is loaded: asking for one has no effect, asking for none has.
    if fields.values["enable_safety_checker"]:
        without_effect.append("enable_safety_checker")
    if fields.values["disable_safety_checker"] is False:
        without_effect.append("disable_safety_checker")
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
    if not fields.values["stream"]:
        return
    if fields.values["n"] > 1:
        raise invalid.wrong_value("n", fields.values["n"], "Streaming is only supported with n=1.")
    raise invalid.not_supported("stream", "stream", "ask without it, or with false.")
