"""Both policies react as they promise: Ray's after its delays, ours in the next second."""

from pathlib import Path

from benchmarks.autoscaling.__main__ import all_days
from benchmarks.autoscaling.days import DAY_S, made_up_day, part_of, read_day, steady
from benchmarks.autoscaling.ours import WorkPolicy
from benchmarks.autoscaling.ray_default import RayDefault
from serve_app.config import ScalingConfig
from serve_app.planning.cluster import Autoscaler, View

NUM_PICTURES, EACH_S = 20, 4.0
BURST_AT, BURST_ENDS_AT = 100, 400
HOLD_S = 30
RULES = ScalingConfig(headroom=0, hold_s=HOLD_S)


def targets(policy: Autoscaler) -> list[int]:
    """Return the targets of each second; what was asked for runs a minute later."""
    asked = [1]
    for now in range(2000):
        num_pictures = NUM_PICTURES if BURST_AT <= now < BURST_ENDS_AT else 0
        view = View(
            now=float(now),
            num_running=asked[max(0, len(asked) - 60)],
            target=asked[-1],
            num_pictures=num_pictures,
            work_s=num_pictures * EACH_S,
            accepted_s=NUM_PICTURES * EACH_S if now >= BURST_AT else 0.0,
        )
        asked.append(policy.target(view))
    return asked[1:]


def test_ours_is_up_within_a_second_and_down_after_its_hold() -> None:
    found = targets(WorkPolicy(RULES, 1, 16))
    assert found[BURST_AT - 1] == 1
    assert found[BURST_AT] == 4  # 80 s of work at 24 s each
    assert found[BURST_ENDS_AT + HOLD_S - 2] == 4
    assert found[BURST_ENDS_AT + HOLD_S] == 1


def test_rays_default_waits_for_its_delays() -> None:
    found = targets(RayDefault(1, 16))
    first_up = next(now for now, target in enumerate(found) if target > 1)
    assert BURST_AT + 30 <= first_up <= BURST_AT + 60
    assert max(found) == 10  # two requests for each
    last = max(now for now, target in enumerate(found) if target == max(found))
    assert BURST_ENDS_AT + 600 <= last <= BURST_ENDS_AT + 700


def test_a_trace_is_laid_over_itself(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(
        "arrival_s,num_inference_steps,num_images,kind,user\n"
        "0,30,1,TXT_2_IMG,a\n70,,,TXT_2_IMG,b\n80,30,1,IMG_2_IMG,c\n99,40,8,TXT_2_IMG,d\n"
    )
    day = read_day(file, num_folds=2)
    assert [request.arrived_at for request in day] == [0, 20, 49]
    assert [request.kind.num_images for request in day] == [1, 1, 8]


def test_a_made_up_day_is_busier_at_noon_than_at_night() -> None:
    day = made_up_day(visits=300, seed=1)
    noon = part_of(day, 0.4 * DAY_S, 0.2 * DAY_S)
    night = part_of(day, 0, 0.1 * DAY_S) + part_of(day, 0.9 * DAY_S, 0.1 * DAY_S)
    assert 1000 < len(day) < 2600
    assert len(noon) > 3 * len(night) > 0


def test_a_steady_demand_is_as_large_as_it_is_asked_for() -> None:
    day = part_of(steady(requests_per_s=1.0, length_s=DAY_S, seed=1), DAY_S / 10, DAY_S / 2)
    assert 0.95 * DAY_S / 2 < len(day) < 1.05 * DAY_S / 2


def test_a_trace_is_replayed_where_it_is_at_hand(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    assert [name for name, _ in all_days(file)] == ["a made-up day"]
    file.write_text("arrival_s,num_inference_steps,num_images,kind,user\n0,30,1,TXT_2_IMG,a\n")
    assert [name for name, _ in all_days(file)] == ["a made-up day", "trace folded 10 times"]
