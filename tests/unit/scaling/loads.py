"""Applications as the policy sees them."""

from serve_app.scaling.load import ApplicationLoad, DenoiserLoad, StageLoad


def stage(name: str, num_requests: float = 0.0, *, least: int = 0, most: int = 100) -> StageLoad:
    return StageLoad(
        name=name,
        target=1,
        least=least,
        most=most,
        num_requests=num_requests,
        target_requests=4,
    )


def denoiser(
    work_s: float | None = 0.0,
    *,
    num_pictures: float | None = None,
    arriving: float = 0.0,
    target: int = 1,
    least: int = 0,
    most: int = 100,
) -> DenoiserLoad:
    if num_pictures is None:
        num_pictures = 1.0 if work_s else 0.0
    return DenoiserLoad(
        target=target,
        least=least,
        most=most,
        num_running=target,
        num_pictures=num_pictures,
        work_s=work_s,
        arriving=arriving,
    )


def application(now: float, denoisers: DenoiserLoad, *stages: StageLoad) -> ApplicationLoad:
    return ApplicationLoad(now, denoisers, stages)
