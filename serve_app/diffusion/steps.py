"""Which steps of a schedule are run, and after which of them a preview is shown. No torch."""


def first_step(num_inference_steps: int, strength: float) -> int:
    """Return the index of the first step that an edit of this strength runs.

    At least one step is left, where diffusers refuses a strength too close to 0.

    Raises:
        ValueError: `num_inference_steps` is below 1 or `strength` outside (0, 1].
    """
    if num_inference_steps < 1:
        raise ValueError(f"num_inference_steps must be at least 1, got {num_inference_steps}")
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be over 0 and at most 1, got {strength}")
    # diffusers' own expression: an equivalent one may round to another step.
    num_kept = min(num_inference_steps * strength, num_inference_steps)
    return min(int(max(num_inference_steps - num_kept, 0)), num_inference_steps - 1)


def preview_steps(num_steps: int, num_previews: int) -> tuple[int, ...]:
    """Return after how many steps each preview is shown: evenly spread, never after the last.

    Args:
        num_steps: That are run, at least 1.
        num_previews: Asked for; fewer are shown where there are too few steps.
    """
    spread = (num_steps * (index + 1) // (num_previews + 1) for index in range(num_previews))
    return tuple(sorted({step for step in spread if step > 0}))
