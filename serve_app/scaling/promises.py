"""The work that an ingress has promised: counted from admission until it is written, in operations.

It is known before anything is encoded, and while no denoiser runs at all. A request shrinks with
each of its pictures that is written: those wait for no denoiser, though it is not answered yet.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from serve_app.diffusion.steps import first_step
from serve_app.engine.cost_model import FluxGeometry
from serve_app.messages import GenerationParams
from serve_app.model_facts import ModelFacts
from serve_app.scaling.arrivals import Arrivals
from serve_app.scaling.reports import PromisedWork


@dataclass(slots=True)
class Promise:
    """What is left of one request.

    Attributes:
        of_each: What one of its pictures takes.
        num_left: Pictures that are not written yet.
    """

    of_each: PromisedWork
    num_left: int

    def keep_one(self) -> None:
        """Count a picture as written; a stream that is run again may say so of one twice."""
        self.num_left = max(0, self.num_left - 1)


class Promises:
    """Adds up the requests that one ingress is busy with; used from its event loop only."""

    def __init__(self, facts: ModelFacts, geometry: FluxGeometry) -> None:
        """Start without any.

        Args:
            facts: Of the model.
            geometry: Of its transformer.
        """
        self._facts = facts
        self._geometry = geometry
        self._held: dict[int, Promise] = {}
        self._number = 0
        self._steps, self._flops = Arrivals(), Arrivals()

    @contextmanager
    def held(self, params: GenerationParams, now: float) -> Iterator[Promise]:
        """Count a request for the length of the block, which begins now on a steady clock."""
        self._number += 1
        number, promise = self._number, Promise(self._of_each(params), params.num_images)
        self._held[number] = promise
        self._steps.add(promise.num_left * promise.of_each.num_steps, now)
        self._flops.add(promise.num_left * promise.of_each.flops, now)
        try:
            yield promise
        finally:
            del self._held[number]

    def __len__(self) -> int:
        """Return the number of requests, those with nothing to denoise among them."""
        return len(self._held)

    def total(self, now: float) -> PromisedWork:
        """Return all of it, as it stands now on the same clock."""
        held = self._held.values()
        return PromisedWork(
            num_pictures=sum(one.num_left * one.of_each.num_pictures for one in held),
            num_steps=sum(one.num_left * one.of_each.num_steps for one in held),
            flops=sum(one.num_left * one.of_each.flops for one in held),
            steps_per_s=self._steps.per_s(now),
            flops_per_s=self._flops.per_s(now),
        )

    def _of_each(self, params: GenerationParams) -> PromisedWork:
        strength = 1.0 if params.input_image is None else params.input_image.strength
        if strength == 0:
            return PromisedWork()  # nothing of it is denoised
        num_asked = params.num_inference_steps
        multiple = self._facts.canvas_multiple
        image_seq_len = (params.canvas.width // multiple) * (params.canvas.height // multiple)
        step_flops = self._geometry.step_flops(image_seq_len, self._facts.max_sequence_length)
        num_steps = num_asked - first_step(num_asked, strength)
        return PromisedWork(1, num_steps, num_steps * step_flops)
