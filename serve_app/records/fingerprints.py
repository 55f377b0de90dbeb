"""Tells whether a repeated request is the same as the first."""

import hashlib
import json
from dataclasses import fields, is_dataclass


def fingerprint(endpoint: str, body: object) -> str:
    """Return what two requests have in common exactly if they ask for the same.

    The body is taken as it was understood: a client that sends a form again draws another boundary.

    Args:
        endpoint: The path, without the prefix, and what else decides on the answer.
        body: JSON's values, bytes and dataclasses, one in the other.
    """
    text = json.dumps([endpoint, body], sort_keys=True, default=_as_json)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _as_json(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no fingerprint")
