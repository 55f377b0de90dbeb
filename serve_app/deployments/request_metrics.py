"""What clients ask for and get, for Prometheus, through Ray's own metrics.

No label is of a key, a client or a prompt: there are as many series as routes, codes and classes.
"""

from ray.serve import metrics

from serve_app.api.observed import Observed, note_retry
from serve_app.diffusion.steps import first_step
from serve_app.errors import AuthenticationError
from serve_app.messages import GenerationParams, Size

BOUNDARIES_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 240.0]

SMALL_PX, MEDIUM_PX = 512 * 512, 1024 * 1024
REFUSALS = (429, 503)


class RequestMetrics:
    """Counts the requests of one ingress."""

    def __init__(self) -> None:
        self._num_in_progress = 0
        self._in_progress = metrics.Gauge(
            "krea_serve_requests_in_progress", description="Requests that are being answered."
        )
        self._requests = metrics.Counter(
            "krea_serve_requests",
            description="Requests that were answered, or left by their client (cancelled).",
            tag_keys=("route", "method", "status", "error_code"),
        )
        self._seconds = metrics.Histogram(
            "krea_serve_request_seconds",
            description="From a request's first byte to the last one of its answer.",
            boundaries=BOUNDARIES_S,
            tag_keys=("route", "status"),
        )
        self._refused = metrics.Counter(
            "krea_serve_refused_requests",
            description="Requests that were answered 429 or 503, by what there was too little of.",
            tag_keys=("status", "reason"),
        )
        self._images = metrics.Counter(
            "krea_serve_images",
            description="Pictures that were made.",
            tag_keys=("size_class", "priority", "output_format", "kind"),
        )
        self._pixel_steps = metrics.Counter(
            "krea_serve_pixel_steps",
            description="Pixels of the canvas times steps, of the pictures that were made.",
        )
        self._authentication_failures = metrics.Counter(
            "krea_serve_authentication_failures",
            description="Requests that were answered 401, by what was wrong with their key.",
            tag_keys=("reason",),
        )
        self._retries = metrics.Counter(
            "krea_serve_retries", description="Pictures that were begun again: a replica died."
        )

    def retried(self) -> None:
        """Count a picture that was begun again; called within its request."""
        self._retries.inc()
        note_retry()

    def begun(self) -> None:
        """Count a request that came."""
        self._num_in_progress += 1
        self._in_progress.set(self._num_in_progress)

    def ended(self, observed: Observed) -> None:
        """Count what a request came to."""
        self._num_in_progress -= 1
        self._in_progress.set(self._num_in_progress)
        at = {"route": observed.route, "status": observed.outcome}
        named = {"method": observed.method, "error_code": observed.error_code}
        self._requests.inc(1, at | named)
        self._seconds.observe(observed.seconds, at)
        error, params = observed.error, observed.params
        if error is not None and error.status_code in REFUSALS:
            self._refused.inc(1, {"status": str(error.status_code), "reason": error.reason})
        if isinstance(error, AuthenticationError):
            self._authentication_failures.inc(1, {"reason": error.reason})
        if params is not None and observed.num_images:
            self._made(params, observed.num_images)

    def _made(self, params: GenerationParams, num_images: int) -> None:
        classes = {
            "size_class": size_class(params.output),
            "priority": params.priority.name.lower(),
            "output_format": params.output_format,
            "kind": "generation" if params.input_image is None else "edit",
        }
        self._images.inc(num_images, classes)
        # A counter refuses to be raised by nothing, which an edit of strength 0 takes.
        if num_pixel_steps := num_images * pixel_steps(params):
            self._pixel_steps.inc(num_pixel_steps)


def pixel_steps(params: GenerationParams) -> int:
    """Return the pixels of one picture's canvas times its steps, those `acceleration` skips too."""
    strength = 1.0 if params.input_image is None else params.input_image.strength
    if strength == 0:
        return 0
    num_steps = params.num_inference_steps - first_step(params.num_inference_steps, strength)
    return params.canvas.width * params.canvas.height * num_steps


def size_class(size: Size) -> str:
    """Return `small` up to as many pixels as 512x512 has, `medium` up to 1024x1024, or `large`."""
    num_px = size.width * size.height
    if num_px <= SMALL_PX:
        return "small"
    return "medium" if num_px <= MEDIUM_PX else "large"
