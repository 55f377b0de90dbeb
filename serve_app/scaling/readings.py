"""What Serve knows of an application's deployments, as the policy wants it.

Of the numbers that replicas report the latest counts, not a mean of a window: a burst must be seen
in the second in which it comes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

from serve_app.scaling.load import ApplicationLoad, DenoiserLoad, StageLoad
from serve_app.scaling.reports import EngineWork, PromisedWork

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

Contexts: TypeAlias = "Sequence[AutoscalingContext]"

INGRESS, DENOISER = "Ingress", "Denoiser"
AFTER_DENOISER = ("Vae", "ImageWriter")


def application_load(contexts: Contexts, speed: EngineWork | None) -> ApplicationLoad | None:
    """Return how an application stands; None if it has no denoisers that are scaled.

    Args:
        contexts: Of all its deployments.
        speed: Of its denoisers, as they reported it last; None if they never did.
    """
    by_name = {context.deployment_name: context for context in contexts}
    if DENOISER not in by_name:
        return None
    return ApplicationLoad(
        now=by_name[DENOISER].current_time or 0.0,
        denoiser=_denoiser_load(by_name, speed),
        stages=tuple(_stage_load(one) for name, one in by_name.items() if name != DENOISER),
    )


def speed_of(contexts: Contexts) -> EngineWork | None:
    """Return one report of a denoiser with what it has learned of its steps, if there is one."""
    reports = (_engines(context) for context in contexts if context.deployment_name == DENOISER)
    return next((engine for engines in reports for engine in engines if engine.s_per_flop), None)


def _denoiser_load(
    by_name: "Mapping[str, AutoscalingContext]", speed: EngineWork | None
) -> DenoiserLoad:
    context = by_name[DENOISER]
    engines = _engines(context)
    promised = _promised(by_name)
    num_jobs = sum(engine.num_jobs for engine in engines)
    # Who is promised a picture and has it neither decoded nor written still needs a denoiser.
    num_after = sum(by_name[name].total_num_requests for name in AFTER_DENOISER if name in by_name)
    num_queued = context.total_queued_requests or 0.0
    num_waiting = max(num_queued, promised.num_pictures - num_jobs - num_after, 0.0)
    work_s, arriving = None, 0.0
    if speed is not None:
        promised_s = promised.num_steps * speed.overhead_s + promised.flops * speed.s_per_flop
        each_s = promised_s / max(promised.num_pictures, 1.0)
        work_s = sum(engine.left_s for engine in engines) + num_waiting * each_s
        arriving = promised.steps_per_s * speed.overhead_s + promised.flops_per_s * speed.s_per_flop
    return DenoiserLoad(
        target=context.target_num_replicas,
        least=context.capacity_adjusted_min_replicas,
        most=context.capacity_adjusted_max_replicas,
        num_running=context.current_num_replicas,
        num_pictures=num_jobs + num_waiting,
        work_s=work_s,
        arriving=arriving,
    )


def _stage_load(context: "AutoscalingContext") -> StageLoad:
    return StageLoad(
        name=context.deployment_name,
        target=context.target_num_replicas,
        least=context.capacity_adjusted_min_replicas,
        most=context.capacity_adjusted_max_replicas,
        num_requests=context.total_num_requests,
        target_requests=context.config.get_target_ongoing_requests(),
    )


def _engines(context: "AutoscalingContext") -> list[EngineWork]:
    reports = _latest(context, (field.name for field in fields(EngineWork)))
    return [EngineWork(**report) for report in reports]


def _promised(by_name: "Mapping[str, AutoscalingContext]") -> PromisedWork:
    """Return what all ingresses together have promised."""
    if INGRESS not in by_name:
        return PromisedWork()
    names = [field.name for field in fields(PromisedWork)]
    reports = _latest(by_name[INGRESS], names)
    return PromisedWork(**{name: sum(report[name] for report in reports) for name in names})


def _latest(context: "AutoscalingContext", names: Iterable[str]) -> list[dict[str, float]]:
    """Return the latest of these numbers for each replica that has reported all of them."""
    raw = context.raw_metrics or {}
    latest = {
        name: {replica: series[-1].value for replica, series in raw.get(name, {}).items() if series}
        for name in names
    }
    replicas = set.intersection(*(set(values) for values in latest.values()))
    return [{name: values[replica] for name, values in latest.items()} for replica in replicas]
