"""An ingress with no room left says so at once, and says when to come back."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

import httpx
import pytest

from serve_app.api.middleware.crowding import (
    MAX_RETRY_S,
    MIN_PLACES,
    NUM_REMEMBERED,
    SHARE_OF_DEADLINE,
    Line,
    Room,
    Stay,
)
from serve_app.config import ApiConfig
from serve_app.errors import OverloadedError, StageFailedError
from serve_app.messages import Priority
from tests.unit.api.conftest import BASE_URL, MakeApp, MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY: dict[str, Any] = {"prompt": "a circle", "size": "64x64"}


class Clock:
    """Shows the time that it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused_after_s(room: Room, config: ApiConfig) -> int:
    with pytest.raises(OverloadedError) as refused:
        room.check(config)
    return refused.value.retry_after_s


def places(num_places: int) -> ApiConfig:
    return ApiConfig(max_pending_requests=num_places)


def num_let_in(room: Room, config: ApiConfig) -> int:
    """Fill the room with requests of one picture, count, and leave it as it was."""
    stays = []
    with suppress(OverloadedError):
        while True:
            stays.append(room.enter(config, 1))
    leave(room, stays)
    return len(stays)


def leave(room: Room, stays: list[Stay]) -> None:
    for stay in stays:
        room.leave(stay)


def answer_one_by_one(room: Room, clock: Clock, count: int, s_each: float) -> None:
    """Let requests come together and be answered in their order."""
    stays = [room.enter(places(1000), 1) for _ in range(count)]
    for stay in stays:
        clock.now += s_each
        room.note_answer(stay)
        room.leave(stay)


def test_a_place_that_is_free_again_is_taken_again() -> None:
    room = Room()
    stay = room.enter(places(1), 1)
    refused_after_s(room, places(1))
    room.leave(stay)
    room.enter(places(1), 1)


def test_more_places_may_be_made_and_taken_away() -> None:
    room = Room()
    room.enter(places(1), 1)
    room.enter(places(2), 1)
    refused_after_s(room, places(1))


@pytest.mark.parametrize(("s_each", "told_s"), [(0.1, 1), (7.0, 7), (7.5, 8), (900.0, MAX_RETRY_S)])
def test_it_tells_when_a_place_becomes_free_as_the_latest_did(s_each: float, told_s: int) -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 5, s_each)
    room.enter(places(1), 1)
    assert refused_after_s(room, places(1)) == told_s


@pytest.mark.parametrize(("s_each", "num_at_a_time"), [(0.25, 4), (1.0, 1), (2.0, 1)])
def test_no_more_are_told_to_come_back_at_a_time_than_find_a_place_then(
    s_each: float, num_at_a_time: int
) -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 5, s_each)
    room.enter(places(1), 1)
    told_s = [refused_after_s(room, places(1)) for _ in range(100)]
    assert told_s == sorted(told_s)
    assert told_s[-1] == min(100 * s_each, MAX_RETRY_S)
    # Whole seconds are told, in which several places may become free.
    counts = Counter(seconds for seconds in told_s if seconds < MAX_RETRY_S)
    assert set(counts.values()) == {num_at_a_time}


def test_no_two_have_the_same_turn_until_the_bound() -> None:
    clock = Clock()
    line = Line(clock)
    turns = []
    for _ in range(100):
        turns.append(clock.now + line.join(0.4))
        clock.now += 0.01
    before_bound = [turn for turn in turns if turn < MAX_RETRY_S - 0.1]
    assert len(before_bound) == 74
    assert all(after - before > 0.399 for before, after in pairwise(before_bound))
    assert max(turns) <= clock.now + MAX_RETRY_S


def test_the_line_becomes_shorter_as_time_passes() -> None:
    clock = Clock()
    line = Line(clock)
    assert [line.join(2.0) for _ in range(5)] == [2.0, 4.0, 6.0, 8.0, 10.0]
    clock.now += 7.0
    assert line.join(2.0) == 5.0
    clock.now += 100.0
    assert line.join(2.0) == 2.0


def test_however_many_were_refused_the_line_is_over_after_the_bound() -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 5, 0.5)
    room.enter(places(1), 1)
    told_s = [refused_after_s(room, places(1)) for _ in range(1000)]
    assert (told_s[0], told_s[-1]) == (1, MAX_RETRY_S)
    clock.now += MAX_RETRY_S
    assert refused_after_s(room, places(1)) == 1


def test_who_wants_more_pictures_is_waited_for_longer() -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 5, 0.5)
    room.enter(places(1), 1)
    with pytest.raises(OverloadedError) as refused:
        room.check(places(1), num_images=10)
    assert refused.value.retry_after_s == 5
    assert refused_after_s(room, places(1)) == 6


@pytest.mark.parametrize("num_before", [1, 3, 40])
def test_it_lets_in_what_can_be_answered_in_time(num_before: int) -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    assert num_let_in(room, config) == 1000
    answer_one_by_one(room, clock, num_before, 0.5)
    assert num_let_in(room, config) == SHARE_OF_DEADLINE * 40 / 0.5


def test_requests_that_share_the_time_say_the_same_as_those_that_wait() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    stays = [room.enter(config, 1) for _ in range(30)]
    clock.now += 30 * 0.5
    room.note_answer(stays[-1])
    leave(room, stays)
    assert num_let_in(room, config) == SHARE_OF_DEADLINE * 40 / 0.5


def test_pictures_of_one_request_say_the_same_as_those_of_many() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    stays = [room.enter(config, 10) for _ in range(3)]
    clock.now += 30 * 0.5
    room.note_answer(stays[-1])
    leave(room, stays)
    assert num_let_in(room, config) == SHARE_OF_DEADLINE * 40 / 0.5


def test_a_request_takes_as_many_places_as_it_wants_pictures() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    answer_one_by_one(room, clock, 5, 0.5)
    stays = [room.enter(config, 10) for _ in range(5)]
    with pytest.raises(OverloadedError) as refused:
        room.enter(config, 11)
    assert refused.value.retry_after_s == 6
    assert num_let_in(room, config) == 10
    leave(room, stays)
    assert num_let_in(room, config) == 60


def test_whoever_comes_alone_may_ask_for_any_number() -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 1, 500.0)
    room.enter(ApiConfig(), MIN_PLACES + 1)
    refused_after_s(room, ApiConfig())


def test_some_are_let_in_however_slow_one_alone_was() -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 1, 500.0)
    assert num_let_in(room, ApiConfig(deadline_s=40)) == MIN_PLACES
    # And when these turn out to run side by side, more are.
    stays = [room.enter(places(1000), 1) for _ in range(MIN_PLACES)]
    clock.now += 1.0
    for stay in stays * 2:
        room.note_answer(stay)
    leave(room, stays)
    assert num_let_in(room, ApiConfig(deadline_s=40)) == 200


def fill(room: Room, config: ApiConfig, count: int, priority: Priority) -> list[Stay]:
    return [room.enter(config, 1, priority) for _ in range(count)]


def test_fewer_are_let_in_where_some_side_by_side_were_too_late() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(deadline_s=40)
    stays = [room.enter(config, 1) for _ in range(12)]
    clock.now += 36.0
    room.note_answer(stays[-1])
    leave(room, stays)
    # Twelve take 36 seconds, so ten take 30.
    assert num_let_in(room, config) == 10
    # Once all that is remembered was in time, it is tried again.
    for _ in range(NUM_REMEMBERED):
        answer_one_by_one(room, clock, 1, 12.0)
    assert num_let_in(room, config) == MIN_PLACES


def test_half_as_many_again_are_tried_as_were_side_by_side_in_time() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(deadline_s=40)
    for num_before, num_tried in [(2, 3), (3, 5), (5, 8), (8, 12), (12, MIN_PLACES)]:
        stays = [room.enter(config, 1) for _ in range(num_before)]
        clock.now += 30.0
        room.note_answer(stays[-1])
        leave(room, stays)
        assert num_let_in(room, config) == max(num_tried, num_before)


def test_who_is_refused_by_a_stage_shows_that_its_place_is_one_too_many() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(deadline_s=40)
    stays = [room.enter(config, 1) for _ in range(12)]
    room.note_refusal(stays[-1], config)
    leave(room, stays)
    assert num_let_in(room, config) == SHARE_OF_DEADLINE * 12


def test_lower_classes_keep_no_higher_one_out() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    answer_one_by_one(room, clock, 5, 1.0)
    fill(room, config, 30, Priority.BATCH)
    with pytest.raises(OverloadedError):
        room.enter(config, 1, Priority.BATCH)
    fill(room, config, 30, Priority.STANDARD)
    with pytest.raises(OverloadedError):
        room.enter(config, 1, Priority.STANDARD)
    fill(room, config, 30, Priority.INTERACTIVE)
    for priority in Priority:
        with pytest.raises(OverloadedError):
            room.enter(config, 1, priority)


def test_each_class_learns_how_long_it_takes_itself() -> None:
    clock = Clock()
    room = Room(clock)
    config = ApiConfig(max_pending_requests=1000, deadline_s=40)
    below, above = (fill(room, config, 20, each) for each in (Priority.BATCH, Priority.STANDARD))
    clock.now += 10.0
    room.note_answer(above[-1])
    clock.now += 30.0
    room.note_answer(below[-1])
    leave(room, above + below)
    assert num_let_in(room, config) == 60
    fill(room, config, MIN_PLACES, Priority.BATCH)
    with pytest.raises(OverloadedError):
        room.enter(config, 1, Priority.BATCH)


def test_who_is_refused_is_told_of_its_own_class_s_line() -> None:
    clock = Clock()
    room = Room(clock)
    answer_one_by_one(room, clock, 5, 2.0)
    room.enter(places(1), 1)
    assert [refused_after_s(room, places(1)) for _ in range(3)] == [2, 4, 6]
    with pytest.raises(OverloadedError) as refused:
        room.check(places(1), priority=Priority.INTERACTIVE)
    assert refused.value.retry_after_s == 2


async def test_a_full_server_refuses_with_json_before_it_reads_the_body(
    make_client: MakeClient, drawing: Drawing
) -> None:
    drawing.is_endless = True
    async with make_client(max_pending_requests=2) as client:
        working = [asyncio.create_task(client.post(PATH, json=BODY)) for _ in range(2)]
        while len(drawing.asked) < 2:
            await asyncio.sleep(0.01)
        for path in (PATH, "/openai/v1/images/generations", "/v1/images/edits"):
            answer = await client.post(path, content=b"not JSON at all")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
        assert (await client.get("/v1/models")).status_code == 200
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        drawing.is_endless = False
        assert (await client.post(PATH, json=BODY)).status_code == 200
        history = (await client.get("/v1/requests")).json()["data"]
    assert not any(entry["status"] == "rejected" for entry in history)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Stay]:
    """What the room learns from, instead of its learning it."""
    stays: list[Stay] = []
    monkeypatch.setattr(Room, "note_answer", lambda room, stay: stays.append(stay))
    return stays


async def test_only_pictures_that_were_made_tell_how_fast_it_goes(
    make_client: MakeClient, drawing: Drawing, told: list[Stay]
) -> None:
    key = {"Idempotency-Key": "order-1"}
    async with make_client() as client:
        for body in (BODY, BODY | {"stream": True}):
            assert (await client.post(PATH, json=body)).status_code == 200
        assert (await client.post(PATH, json=BODY | {"n": 3}, headers=key)).status_code == 200
        assert [stay.num_images for stay in told] == [1, 1, 3]
        again = await client.post(PATH, json=BODY | {"n": 3}, headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        assert (await client.post(PATH, json=BODY, params={"dryRun": "1"})).status_code == 200
        assert (await client.post(PATH, json={"size": "64x64"})).status_code == 400
        drawing.failure = StageFailedError("vae")
        for body in (BODY, BODY | {"stream": True, "partial_images": 1}):
            assert "INTERNAL_ERROR" in (await client.post(PATH, json=body)).text
    assert len(told) == 3


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_so_do_those_that_did_not_come_in_time(
    make_client: MakeClient, drawing: Drawing, told: list[Stay], is_streamed: bool
) -> None:
    drawing.is_endless = True
    async with make_client(deadline_s=0.2) as client:
        answer = await client.post(PATH, json=BODY | {"stream": is_streamed})
    assert "TIMEOUT" in answer.text
    assert len(told) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_so_do_those_that_a_stage_refuses_for_want_of_time(
    make_client: MakeClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch, is_streamed: bool
) -> None:
    refused: list[int] = []
    monkeypatch.setattr(Room, "note_refusal", lambda room, stay, config: refused.append(1))
    async with make_client() as client:
        for reason in ("deadline", "capacity", "loras"):
            drawing.failure = OverloadedError(reason=reason)
            answer = await client.post(PATH, json=BODY | {"stream": is_streamed})
            assert "SERVICE_UNAVAILABLE" in answer.text
    assert refused == [1]


async def test_who_asks_for_a_higher_class_passes_those_of_a_lower(
    make_client: MakeClient, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes: list[Priority] = []
    enter = Room.enter

    def entering(room: Room, config: ApiConfig, num_images: int, priority: Priority) -> Stay:
        classes.append(priority)
        return enter(room, config, num_images, priority)

    monkeypatch.setattr(Room, "enter", entering)
    async with make_client() as client:
        for tier in ("flex", "priority", "default", "auto"):
            answer = await client.post(PATH, json=BODY | {"service_tier": tier})
            assert answer.status_code == 200
    standard = Priority.STANDARD
    assert classes == [Priority.BATCH, Priority.INTERACTIVE, standard, standard]


async def test_nor_does_waiting_for_another_s_pictures_tell(
    make_client: MakeClient, drawing: Drawing, told: list[Stay]
) -> None:
    drawing.is_endless = True
    key = {"Idempotency-Key": "order-1"}
    async with make_client() as patient, make_client(deadline_s=0.2) as hasty:
        asking = asyncio.create_task(patient.post(PATH, json=BODY, headers=key))
        await drawing.started.wait()
        late = await hasty.post(PATH, json=BODY, headers=key)
        asking.cancel()
        await asyncio.wait([asking])
    assert late.status_code == 504
    assert told == []


async def test_a_request_that_finds_the_places_taken_once_it_is_read_is_refused(
    make_app: MakeApp, drawing: Drawing
) -> None:
    transport = httpx.ASGITransport(make_app(max_pending_requests=2))
    is_let_in = asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        is_let_in.set()
        while len(drawing.asked) < 2:
            await asyncio.sleep(0.01)
        yield json.dumps(BODY).encode()

    drawing.is_endless = True
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        headers = {"content-type": "application/json"}
        waiting = asyncio.create_task(client.post(PATH, content=late(), headers=headers))
        await is_let_in.wait()
        working = [asyncio.create_task(client.post(PATH, json=BODY)) for _ in range(2)]
        refused = await waiting
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert len(drawing.asked) == 2
        for task in working:
            task.cancel()
        await asyncio.wait(working)
        history = (await client.get("/v1/requests")).json()["data"]
    assert [entry["status"] for entry in history] == ["cancelled"] * 2
