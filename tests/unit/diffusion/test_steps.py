"""Which steps run at a strength, and after which of them a preview is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.diffusion.steps import first_step, preview_steps

steps = st.integers(1, 50)
strengths = st.floats(0, 1, exclude_min=True)


@given(steps, strengths)
def test_at_least_one_step_runs_at_any_strength(num_steps: int, strength: float) -> None:
    assert 0 <= first_step(num_steps, strength) < num_steps


def test_a_strength_that_diffusers_would_refuse_runs_one_step() -> None:
    assert first_step(10, 1e-18) == 9


@given(steps, strengths)
def test_more_strength_never_runs_fewer_steps(num_steps: int, strength: float) -> None:
    assert first_step(num_steps, 1.0) <= first_step(num_steps, strength)


@pytest.mark.parametrize(("num_steps", "strength"), [(0, 1.0), (10, 0.0), (10, 1.01)])
def test_what_runs_no_step_is_refused(num_steps: int, strength: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        first_step(num_steps, strength)


@pytest.mark.parametrize(
    ("num_steps", "num_previews", "expected"),
    [
        (28, 0, ()),
        (28, 1, (14,)),
        (28, 3, (7, 14, 21)),
        (2, 3, (1,)),
        (1, 3, ()),
        (4, 3, (1, 2, 3)),
    ],
)
def test_previews_are_spread_evenly(
    num_steps: int, num_previews: int, expected: tuple[int, ...]
) -> None:
    assert preview_steps(num_steps, num_previews) == expected


@given(steps, st.integers(0, 3))
def test_previews_are_few_and_never_the_last_step(num_steps: int, num_previews: int) -> None:
    shown = preview_steps(num_steps, num_previews)
    assert len(shown) <= num_previews
    assert all(0 < step < num_steps for step in shown)
    assert list(shown) == sorted(set(shown))
