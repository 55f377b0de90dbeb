"""How many requests for pictures an ingress works on at a time; more are refused at once.

No more than an operator allows, and no more pictures than can be made before the deadline, as far
as the latest answers tell. What stands between the ingress and the stage that is slowest needs no
bound of its own then. A request has its place from when it has been read: who writes slowly takes
none from others. Those of a higher class, which go before it everywhere, see none of it.
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
from serve_app.errors import NOT_IN_TIME, DeadlineExceededError, OverloadedError
from serve_app.messages import Priority

NUM_REMEMBERED = 32
MIN_RETRY_S, MAX_RETRY_S = 1, 30  # as the API promises for a 503

# One picture alone says little of how many can be made side by side: so many may show it.
MIN_PLACES = 16
MORE_THAN_BEFORE = 1.5  # times as many as were made side by side may be, if none of them was late
# Of the deadline, that is given away: a prediction may be wrong by the rest.
SHARE_OF_DEADLINE = 0.75


@dataclass(frozen=True, slots=True)
class Stay:
    """A request that has a place.

    Attributes:
        priority: Its class.
        num_images: That it asks for.
        position: Of its last picture among those that were being made when it came and do not let
            it go first, its own included: 1 if it came alone and asks for one.
        began_at: When it came, on the room's clock, in seconds.
    """

    priority: Priority
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


class Experience:
    """How long it took to be answered, behind how many."""

    def __init__(self) -> None:
        self._answered: deque[tuple[int, float]] = deque(maxlen=NUM_REMEMBERED)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing yet."""
        return not self._answered

    def add(self, position: int, took_s: float) -> None:
        """Remember an answer: a request's position as in `Stay`, and the seconds it was there."""
        self._answered.append((position, took_s))

    def s_per_image(self) -> float:
        """Return by how many seconds one more picture makes the last one later; 0 if unknown.

        One that found n others was made in the time of n + 1, whether it waited for them or
        shared with them.
        """
        num_before = sum(position for position, _ in self._answered)
        return sum(took_s for _, took_s in self._answered) / num_before if num_before else 0.0

    def most_images(self, in_time_s: float) -> float:
        """Return how many can be answered within some seconds."""
        s_per_image = self.s_per_image()
        if s_per_image == 0:
            return math.inf
        return max(int(in_time_s / s_per_image), self._least_images(in_time_s))

    def _least_images(self, in_time_s: float) -> int:
        """Return how many are worth trying, even if that says that it takes longer."""
        positions = [position for position, _ in self._answered]
        if any(1 < position <= MIN_PLACES and s > in_time_s for position, s in self._answered):
            return 1
        most = max(positions)
        return MIN_PLACES if most == 1 else min(math.ceil(MORE_THAN_BEFORE * most), MIN_PLACES)


class Room:
    """The places of one ingress; it knows how fast they become free."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._num_requests = 0
        self._num_images = dict.fromkeys(Priority, 0)
        self._experiences = {priority: Experience() for priority in Priority}
        self._lines = {priority: Line(clock) for priority in Priority}

    def check(
        self, config: ApiConfig, num_images: int = 1, priority: Priority = Priority.STANDARD
    ) -> None:
        """Check that there is a place for one more request.

        Args:
            config: How many there are at most, and the deadline; an operator may change both.
            num_images: That it asks for.
            priority: Its class: pictures of lower ones do not keep it out.

        Raises:
            OverloadedError: There is none; the request has its turn after `retry_after_s`, behind
                all of its class who were refused before and are not back yet.
        """
        num_before = self._num_before(priority)
        in_time_s = SHARE_OF_DEADLINE * config.deadline_s
        most = self._experience(priority).most_images(in_time_s)
        # Whoever comes alone may ask for any number.
        is_in_time = not num_before or num_before + num_images <= most
        if self._num_requests >= config.max_pending_requests or not is_in_time:
            raise OverloadedError(retry_after_s=self._retry_after_s(num_images, priority))

    def enter(
        self, config: ApiConfig, num_images: int, priority: Priority = Priority.STANDARD
    ) -> Stay:
        """Take a place.

        Raises:
            OverloadedError: As `check` says.
        """
        self.check(config, num_images, priority)
        self._num_requests += 1
        self._num_images[priority] += num_images
        return Stay(priority, num_images, self._num_before(priority), self._clock())

    def note_answer(self, stay: Stay) -> None:
        """Learn from a request that has its answer, not sent yet: a client may read slowly."""
        took_s = self._clock() - stay.began_at
        self._experiences[stay.priority].add(stay.position, took_s)

    def note_refusal(self, stay: Stay, config: ApiConfig) -> None:
        """Learn from a request that came too late to be answered in time, as a stage said."""
        self._experiences[stay.priority].add(stay.position, config.deadline_s)

    def leave(self, stay: Stay) -> None:
        """Give a place back."""
        self._num_requests -= 1
        self._num_images[stay.priority] -= stay.num_images

    def _num_before(self, priority: Priority) -> int:
        return sum(count for other, count in self._num_images.items() if other <= priority)

    def _experience(self, priority: Priority) -> Experience:
        """Return what a class has shown, or, as long as it has shown nothing, any other."""
        own = self._experiences[priority]
        known = (each for each in (own, *self._experiences.values()) if not each.is_empty)
        return next(known, own)

    def _retry_after_s(self, num_images: int, priority: Priority) -> int:
        """Return in how many seconds places for so many are free, and nobody else's turn."""
        s_per_image = self._experience(priority).s_per_image()
        turn_after_s = self._lines[priority].join(num_images * s_per_image)
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


def take_place(request: Request, num_images: int, priority: Priority) -> None:
    """Take a place for a request that has been read, until its answer is sent.

    Args:
        request: To a route behind `LimitCrowd`.
        num_images: That it asks for.
        priority: Its class.

    Raises:
        OverloadedError: None is free any more.
    """
    visit = cast(Visit, request.state.visit)
    try:
        visit.stay = visit.room.enter(services_of(request).config, num_images, priority)
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
        config = scope["app"].state.services.config
        # A body may ask for a higher class; that it does is not known before it is read.
        self._room.check(config, priority=scope["state"]["caller"].priority)
        visit = scope["state"]["visit"] = Visit(self._room)
        observed = scope["state"]["observed"]

        async def write(message: Message) -> None:
            is_end = message["type"] == "http.response.body" and not message.get("more_body", False)
            if is_end and visit.stay is not None:
                self._learn(visit.stay, observed, config)
            await send(message)

        try:
            await self.app(scope, receive, write)
        finally:
            if visit.stay is not None:
                self._room.leave(visit.stay)

    def _learn(self, stay: Stay, observed: Observed, config: ApiConfig) -> None:
        """Learn how long pictures take, from those that came and from those that were too late."""
        error = observed.error if observed.params is not None else None
        if observed.num_images > 0 or isinstance(error, DeadlineExceededError):
            self._room.note_answer(stay)
        elif isinstance(error, OverloadedError) and error.reason == NOT_IN_TIME:
            self._room.note_refusal(stay, config)
