"""Read `scheduler/scheduler_config.json`, and refuse a schedule that is not FLUX.1 [dev]'s."""

from dataclasses import fields
from pathlib import Path

from serve_app.diffusion.schedule import SchedulerConfig
from serve_app.errors import WeightsError
from serve_app.model_facts import read_json

# What `diffusion.schedule` calculates, with diffusers' value for a setting that is not there.
SUPPORTED = {
    "_class_name": (None, "FlowMatchEulerDiscreteScheduler"),
    "use_dynamic_shifting": (False, True),
    "time_shift_type": ("exponential", "exponential"),
    "shift_terminal": (None, None),
    "invert_sigmas": (False, False),
    "stochastic_sampling": (False, False),
    "use_karras_sigmas": (False, False),
    "use_exponential_sigmas": (False, False),
    "use_beta_sigmas": (False, False),
}


def load_scheduler_config(directory: Path) -> SchedulerConfig:
    """Return the scheduler config of a diffusers directory.

    Raises:
        WeightsError: It is missing, broken or not supported; the message is one line.
    """
    path = directory / "scheduler" / "scheduler_config.json"
    document = read_json(path)
    for name, (default, supported) in SUPPORTED.items():
        if (found := document.get(name, default)) != supported:
            raise WeightsError(f"{path}: {name} must be {supported}, not {found}")
    known = {field.name for field in fields(SchedulerConfig)}
    settings = {name: value for name, value in document.items() if name in known}
    for name, value in settings.items():
        if not isinstance(value, int | float):
            raise WeightsError(f"{path}: {name} must be a number, not {value!r}")
    return SchedulerConfig(**settings)
