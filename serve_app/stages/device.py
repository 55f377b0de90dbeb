"""Where a stage's arithmetic runs, and in which precision."""

import torch

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.stages.memory import keep_freed_memory


def place(model: ModelConfig) -> tuple[torch.dtype, torch.device]:
    """Return a configuration's dtype and device, and prepare this process for its arithmetic.

    Called before a stage starts its thread.

    Raises:
        ConfigError: This machine has no such device.
    """
    torch.set_num_threads(model.num_threads)
    name = model.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = _usable_device(name)
    if device.type == "cpu":
        keep_freed_memory()
    return getattr(torch, model.dtype), device


def _usable_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        # A name of the right form says nothing about this machine; an allocation does.
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used: {reason}") from error
    return device
