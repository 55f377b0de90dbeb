"""An ingress with no room left says so at once, and says when to come back."""

import asyncio

import pytest

from serve_app.api.middleware.crowding import MAX_RETRY_S, Room
from serve_app.errors import OverloadedError
from tests.unit.api.conftest import MakeClient
from tests.unit.api.drawing import Drawing

PATH = "/v1/images/generations"
BODY = {"prompt": "a circle", "size": "64x64"}


class Clock:
    """Shows the time that it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused_after_s(room: Room, num_places: int) -> int:
    with pytest.raises(OverloadedError) as refused:
        room.take(num_places)
    return refused.value.retry_after_s


def test_a_place_that_is_free_again_is_taken_again() -> None:
    room = Room()
    room.take(1)
    refused_after_s(room, 1)
    room.free()
    room.take(1)


def test_more_places_may_be_made_and_taken_away() -> None:
    room = Room()
    room.take(1)
    room.take(2)
    refused_after_s(room, 1)


@pytest.mark.parametrize(("gap_s", "told_s"), [(0.1, 1), (7.0, 7), (7.5, 8), (900.0, MAX_RETRY_S)])
def test_it_tells_when_a_place_becomes_free_as_the_latest_did(gap_s: float, told_s: int) -> None:
    clock = Clock()
    room = Room(clock)
    for _ in range(5):
        room.take(1)
        clock.now += gap_s
        room.free()
    room.take(1)
    assert refused_after_s(room, 1) == told_s


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
