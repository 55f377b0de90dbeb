"""The real HTTP surface behind a real socket, for clients that nobody has changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest

from tests.unit.api.clients.front import Front
from tests.unit.api.clients.pictures import write_pictures
from tests.unit.api.conftest import MakeApp
from tests.unit.api.live_server import serving_app

KEY = "sk-client"


@pytest.fixture
async def front(make_app: MakeApp) -> AsyncIterator[Front]:
    """A server that wants a key, and does not let its pictures go unchecked."""
    front = Front(make_app(api_key=KEY, allow_unchecked_images=False))
    async with serving_app(front) as port:
        front.url = f"http://127.0.0.1:{port}"
        yield front


@pytest.fixture
async def sdk(front: Front) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client of that server; it tries once."""
    async with openai.AsyncOpenAI(base_url=f"{front.url}/v1", api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a picture to edit and its mask."""
    write_pictures(tmp_path)
    return tmp_path
