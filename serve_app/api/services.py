"""What the endpoints need from the rest of the program, handed to them at start."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from serve_app.api.input_images.reader import ImageReader
from serve_app.api.observed import NoObserver, Observer
from serve_app.config import ApiConfig
from serve_app.deadline import Deadline
from serve_app.limits.admission import Gatekeeper, NoLimits
from serve_app.messages import Features, GenerationParams, GenerationResult, WrittenImage
from serve_app.model_facts import ModelFacts
from serve_app.records.records import Records
from serve_app.storage.store import ImageStore


@dataclass(frozen=True, slots=True)
class Services:
    """The doors out of the API.

    Attributes:
        config: What clients may ask for.
        facts: Of the served model.
        generate: Makes the pictures of one request within its deadline; raises `RequestError`.
        stream: Makes the previews of one picture and then the picture; fails in the same way.
        is_ready: Whether a request would find every stage loaded; raises `OverloadedError` where
            that cannot be told.
        images: Where pictures delivered as URLs are kept.
        image_reader: Turns what clients send as pictures into pixels.
        features: What the application was built with.
        records: Keys, the history, and answers that may be asked for again.
        gatekeeper: Lets a caller's request run, or says that it has used up a limit.
        observer: Counts requests.
        announce: Is told the id of a request, within it, before anything is done.
    """

    config: ApiConfig
    facts: ModelFacts
    generate: Callable[[GenerationParams, Deadline], Awaitable[GenerationResult]]
    stream: Callable[[GenerationParams, Deadline], AsyncGenerator[WrittenImage]]
    is_ready: Callable[[], Awaitable[bool]]
    images: ImageStore
    image_reader: ImageReader
    features: Features
    records: Records
    gatekeeper: Gatekeeper = field(default_factory=NoLimits)
    observer: Observer = field(default_factory=NoObserver)
    announce: Callable[[str], None] = lambda request_id: None


def services_of(request: Request) -> Services:
    """Return the services of the app that received a request."""
    return cast(Services, request.app.state.services)
