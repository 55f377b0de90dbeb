"""How many requests for pictures an ingress works on at a time; more are refused at once.

No more than an operator allows, and no more pictures than can be made before the deadline, as far
as the latest answers tell. What stands between the ingress and the stage that is slowest needs no
bound of its own then. A request has its place from when it has been read: who writes slowly takes
none from others.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.api.middleware.recording import recording_of
from serve_app.api.observed import Observed
from serve_app.api.services import services_of
from serve_app.config import ApiConfig
from serve_app.errors import DeadlineExceededError, OverloadedError

NUM_REMEMBERED = 32
MIN_RETRY_S, MAX_RETRY_S = 1, 30  # as the API promises for a 503

# One picture alone says little of how many can be made side by side.
MIN_PLACES = 16
# Of the deadline, that is given away: a prediction may be wrong by the rest.
SHARE_OF_DEADLINE = 0.75


@dataclass(frozen=True, slots=True)
class Stay:
    """A request that has a place.

    Attributes:
        num_images: That it asks for.
        position: Of its last picture among those that were being made when it came, its own
            included: 1 if it came alone and asks for one.
        began_at: When it came, on the room's clock, in seconds.
    """

    num_images: int
    position: int
    began_at: float


class Line:
    """Who was told to come back, one after the other: not all of them for the same place.

    Nobody really stands in it. It is as long as the time that was promised last is away, so it
    becomes shorter by itself, and whoever never comes back leaves a gap that lasts no longer.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._promised_at = -math.inf

    def join(self, places_s: float) -> float:
        """Return in how many seconds it is the turn of one more.

        Args:
            places_s: Seconds in which as many places become free as it needs.
        """
        now = self._clock()
        # No longer than what can be told: those who come later would wait for nobody.
        self._promised_at = min(max(self._promised_at, now) + places_s, now + MAX_RETRY_S)
        return self._promised_at - now


class Room:
    """The places of one ingress; it knows how fast they become free."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._num_requests = self._num_images = 0
        self._answered: deque[tuple[int, float]] = deque(maxlen=NUM_REMEMBERED)
        self._line = Line(clock)

    def check(self, config: ApiConfig, num_images: int = 1) -> None:
        """Check that there is a place for one more request.

        Args:
            config: How many there are at most, and the deadline; an operator may change both.
            num_images: That it asks for.

        Raises:
            OverloadedError: There is none; the request has its turn after `retry_after_s`, behind
                all who were refused before and are not back yet.
        """
        most = self._num_images_in_time(config)
        # Whoever comes alone may ask for any number.
        is_in_time = not self._num_requests or self._num_images + num_images <= most
        if self._num_requests >= config.max_pending_requests or not is_in_time:
            raise OverloadedError(retry_after_s=self._retry_after_s(num_images))

    def enter(self, config: ApiConfig, num_images: int) -> Stay:
        """Take a place.

        Raises:
            OverloadedError: As `check` says.
        """
        self.check(config, num_images)
        self._num_requests += 1
        self._num_images += num_images
        return Stay(num_images, self._num_images, self._clock())

    def note_answer(self, stay: Stay) -> None:
        """Learn from a request that has its answer, not sent yet: a client may read slowly."""
        self._answered.append((stay.position, self._clock() - stay.began_at))

    def leave(self, stay: Stay) -> None:
        """Give a place back."""
        self._num_requests -= 1
        self._num_images -= stay.num_images

    def _num_images_in_time(self, config: ApiConfig) -> float:
        s_per_image = self._s_per_image()
        if s_per_image == 0:
            return math.inf
        return max(int(SHARE_OF_DEADLINE * config.deadline_s / s_per_image), MIN_PLACES)

    def _s_per_image(self) -> float:
        """Return by how many seconds one more picture makes the last one later; 0 if unknown.

        One that found n others was made in the time of n + 1, whether it waited for them or
        shared with them.
        """
        num_before = sum(position for position, _ in self._answered)
        return sum(took_s for _, took_s in self._answered) / num_before if num_before else 0.0

    def _retry_after_s(self, num_images: int) -> int:
        """Return in how many seconds places for so many are free, and nobody else's turn."""
        turn_after_s = self._line.join(num_images * self._s_per_image())
        return min(max(math.ceil(turn_after_s), MIN_RETRY_S), MAX_RETRY_S)


@dataclass(slots=True)
class Visit:
    """A request that was let in, to be read.

    Attributes:
        room: Where it may take a place.
        stay: The place that it has taken.
    """

    room: Room
    stay: Stay | None = None


def take_place(request: Request, num_images: int) -> None:
    """Take a place for a request that has been read, until its answer is sent.

    Args:
        request: To a route behind `LimitCrowd`.
        num_images: That it asks for.

    Raises:
        OverloadedError: None is free any more.
    """
    visit = cast(Visit, request.state.visit)
    try:
        visit.stay = visit.room.enter(services_of(request).config, num_images)
    except OverloadedError:
        recording_of(request).is_wanted = False  # as if it had been refused at the door
        raise


class LimitCrowd:
    """Refuses a request before its body is read, where too many are being worked on."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        """Guard an app with the room that it shares with others."""
        self.app = app
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request until its answer is sent.

        Raises:
            OverloadedError: There is no room.
        """
        self._room.check(scope["app"].state.services.config)
        visit = scope["state"]["visit"] = Visit(self._room)
        observed = scope["state"]["observed"]

        async def write(message: Message) -> None:
            is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_end and visit.stay is not None and _tells(observed):
                self._room.note_answer(visit.stay)
            await send(message)

        try:
            await self.app(scope, receive, write)
        finally:
            if visit.stay is not None:
                self._room.leave(visit.stay)


def _tells(observed: Observed) -> bool:
    """Whether an answer says how long pictures take: they came, or were begun and came too late."""
    is_late = observed.params is not None and isinstance(observed.error, DeadlineExceededError)
    return observed.num_images > 0 or is_late
