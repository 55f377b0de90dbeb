"""The first-block cache: a step whose first block adds little new is not computed to its end.

Where the first block adds to a picture nearly what it added when the picture was last computed, so
would the others: what they added then is added again, and they are not run. Each picture of a
batch decides for itself, exactly as diffusers' `FirstBlockCache` does for a picture alone; that
one takes one decision for a whole batch, whose members must not change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from serve_app.engine.layout import Layout
from serve_app.engine.packed import Hidden, PackedInputs, PackedTransformer


@dataclass(frozen=True, slots=True)
class Residuals:
    """What blocks added to a picture when it was last computed to the end.

    Attributes:
        head: The first block, (1, image_seq_len, inner_dim).
        tail: All others together, of the same shape.
    """

    head: torch.Tensor
    tail: torch.Tensor


@dataclass(slots=True, eq=False)
class StepCache:
    """What one picture keeps from step to step; it lives and ends with its job.

    The first step has nothing to compare with and is computed; any later one may be skipped, the
    last one too. The residuals take 2 * image_seq_len * inner_dim elements of the transformer's
    dtype (50 MB for FLUX.1 in bfloat16 at 1024x1024), and as much again while a step is computed.

    Attributes:
        threshold: A step is computed where the first block's residual differs from the kept one
            by more than this, as a share of the kept one's mean absolute value.
        residuals: None before the first step.
        num_computed: Steps computed to the end.
        num_skipped: Steps in which the kept tail stood in for all blocks but the first.
    """

    threshold: float
    residuals: Residuals | None = None
    num_computed: int = 0
    num_skipped: int = 0


@torch.no_grad()
def predict(
    transformer: PackedTransformer, inputs: PackedInputs, caches: Sequence[StepCache | None]
) -> list[torch.Tensor]:
    """Return each picture's `noise_pred`, of the shape of its latents.

    The caches change last: a forward that raises leaves all of them as they were.

    Args:
        transformer: Of the model.
        inputs: Of the pictures.
        caches: One per picture; a picture with None is always computed.
    """
    assert len(caches) == len(inputs.latents)
    embedded = transformer.embed(inputs)
    hidden = transformer.first_block(embedded)
    cached = {index: cache for index, cache in enumerate(caches) if cache is not None}
    heads = _added(embedded.image, hidden.image, hidden.layout, cached)
    skipped = _skipped(cached, heads)
    image = _after_all_blocks(transformer, hidden, skipped)
    noise_preds = transformer.head(image, hidden)
    computed = cached.keys() - skipped.keys()
    tails = _added(hidden.image, image, hidden.layout, computed)
    for index in computed:
        cached[index].num_computed += 1
        cached[index].residuals = Residuals(heads[index], tails[index])
    for index in skipped:
        cached[index].num_skipped += 1
    return noise_preds


def _added(
    before: torch.Tensor, after: torch.Tensor, layout: Layout, indices: Iterable[int]
) -> dict[int, torch.Tensor]:
    """Return what was added to some pictures of a batch, each in memory of its own."""
    earlier, later = _split(before, layout), _split(after, layout)
    return {index: later[index] - earlier[index] for index in indices}


def _skipped(
    cached: dict[int, StepCache], heads: dict[int, torch.Tensor]
) -> dict[int, torch.Tensor]:
    """Return the kept tails of the pictures that need not be computed."""
    kept = {i: cache.residuals for i, cache in cached.items() if cache.residuals is not None}
    if not kept:
        return {}
    changes = [_relative_change(heads[index], residuals.head) for index, residuals in kept.items()]
    # The one place that waits for the device, once for all pictures.
    read = torch.stack(changes).tolist()
    return {
        index: residuals.tail
        for (index, residuals), change in zip(kept.items(), read, strict=True)
        # Not `<=`: what is not a number is skipped, as diffusers does, and stays so either way.
        if not change > cached[index].threshold
    }


def _relative_change(head: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    # diffusers' own expression in the model's dtype: another rounding may decide otherwise.
    return (head - kept).abs().mean() / kept.abs().mean()


def _after_all_blocks(
    transformer: PackedTransformer, hidden: Hidden, skipped: dict[int, torch.Tensor]
) -> torch.Tensor:
    """Return all pictures' tokens after the last block, (1, image tokens, inner_dim)."""
    if not skipped:
        return transformer.other_blocks(hidden)
    images = list(_split(hidden.image, hidden.layout))
    for index, tail in skipped.items():
        images[index] = tail + images[index]
    computed = [index for index in range(len(images)) if index not in skipped]
    if computed:
        rest = hidden.without(frozenset(skipped))
        ended = _split(transformer.other_blocks(rest), rest.layout)
        for index, image in zip(computed, ended, strict=True):
            images[index] = image
    return torch.cat(images, dim=1)


def _split(image: torch.Tensor, layout: Layout) -> tuple[torch.Tensor, ...]:
    """Return each picture's tokens, (1, image_seq_len, inner_dim), as views."""
    images: tuple[torch.Tensor, ...] = image.split(layout.image_lengths, dim=1)
    return images
