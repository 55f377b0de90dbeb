"""The classes that need torch, by the names under which Serve is to find them.

Who composes the application so imports none of it; a replica does when it starts, in a slot.
"""

from importlib import import_module

from serve_app.deployments.import_slot import import_slot

MODULES = {
    "Denoiser": "serve_app.deployments.denoiser",
    "TextEncoder": "serve_app.deployments.text_encoder",
    "Vae": "serve_app.deployments.vae",
}


def import_path(name: str) -> str:
    """Return where Serve finds a class: the attribute of this module that imports it."""
    return f"{__name__}.{name}"


def __getattr__(name: str) -> type:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with import_slot():
        found: type = getattr(import_module(MODULES[name]), name)
    return found
