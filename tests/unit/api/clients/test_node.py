"""OpenAI's client for Node.js, unchanged: the scripts in `node/`, and what arrived of them."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import OverloadedError
from tests.unit.api.clients import node_sdk
from tests.unit.api.clients.conftest import KEY
from tests.unit.api.clients.front import RETRY_AFTER_S, Front, Refusal, overloaded, rate_limited
from tests.unit.api.clients.pictures import mask, picture
from tests.unit.api.drawing import Drawing

Run = Callable[[str], Awaitable[None]]


@pytest.fixture(scope="session", autouse=True)
def _client() -> None:
    node_sdk.install()


@pytest.fixture
def run(front: Front, pictures: Path) -> Run:
    """Runs a script against the server."""
    environment = {
        "TEST_SERVER_URL": front.url,
        "TEST_API_KEY": KEY,
        "TEST_PICTURES": str(pictures),
    }
    return lambda name: node_sdk.run_script(name, environment)


@pytest.mark.parametrize("script", ["generate.mjs", "stream.mjs", "errors.mjs"])
async def test_a_script_passes(run: Run, script: str) -> None:
    await run(script)


async def test_pictures_and_masks_arrive_as_they_were(run: Run, drawing: Drawing) -> None:
    await run("edit.mjs")
    sources = [params.input_image for params in drawing.asked]
    assert len(sources) == 5
    for source in sources:
        assert source is not None
        assert np.array_equal(source.picture, picture())
    *without, last = [source.mask for source in sources if source is not None]
    assert without == [None] * 4
    assert last is not None
    assert np.array_equal(last, mask())


async def test_a_stream_that_fails(run: Run, drawing: Drawing) -> None:
    drawing.failure = OverloadedError()
    await run("failing_stream.mjs")


@pytest.mark.parametrize(
    "refusals",
    [[rate_limited], [overloaded], [overloaded, rate_limited]],
    ids=["429", "503", "503 and 429"],
)
async def test_it_waits_as_long_as_it_was_told(
    run: Run, front: Front, refusals: list[Refusal]
) -> None:
    front.refusals = list(refusals)
    await run("retry.mjs")
    assert len(front.pauses_s) == len(refusals)
    assert min(front.pauses_s) >= RETRY_AFTER_S


async def test_a_limit_is_an_error_of_its_class(run: Run, front: Front) -> None:
    front.refusals = [rate_limited]
    await run("limited.mjs")
    assert len(front.tries) == 1


async def test_a_script_that_fails_is_noticed(run: Run, front: Front) -> None:
    front.refusals = [overloaded]
    with pytest.raises(AssertionError, match="503"):
        await run("limited.mjs")


def test_every_script_is_run() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    scripts = {file.name for file in node_sdk.NODE_DIR.glob("*.mjs")} - {"sdk.mjs"}
    assert [name for name in sorted(scripts) if f'"{name}"' not in text] == []
