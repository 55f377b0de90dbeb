"""Images that a client names by a URL, fetched within limits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from serve_app.api.bodies.uploaded_file import file_too_large
from serve_app.api.input_images.public_transport import NotPublicError, PublicTransport
from serve_app.errors import InvalidRequestError

MAX_REDIRECTS = 3
CONNECT_TIMEOUT_S = 3.0

HEADERS = {
    "User-Agent": "krea-serve",
    "Accept": "image/png, image/jpeg, image/webp",
    # What is counted is then what is kept.
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class RemoteImages:
    """Fetches images by http and https.

    Attributes:
        max_bytes: Of one file.
        timeout_s: For one image, all redirects included.
        new_transport: Connects; by default, to the public internet only.
    """

    max_bytes: int
    timeout_s: float = 10.0
    new_transport: Callable[[], httpx.AsyncBaseTransport] = PublicTransport

    async def fetch(self, field: str, url: str) -> bytes:
        """Return the file at a URL.

        Args:
            field: Where the URL came from, for errors.
            url: Any text.

        Raises:
            InvalidRequestError: There is none, or it is not on the public internet.
            PayloadTooLargeError: It is longer than `max_bytes`; the rest was not read.
        """
        try:
            async with asyncio.timeout(self.timeout_s), self._client() as client:
                return await self._follow(field, client, client.build_request("GET", url))
        except NotPublicError:
            reason = "its host is unknown or not on the public internet"
        except (TimeoutError, httpx.TimeoutException):
            reason = f"it takes longer than {self.timeout_s:g} seconds"
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
            # httpx lets through what its host name's own encoding, or UTF-8, cannot hold.
            reason = "it is not a valid http or https URL"
        except httpx.HTTPError:
            reason = "the connection failed"
        raise _cannot_fetch(field, reason)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=self.new_transport(),
            trust_env=False,
            headers=HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(self.timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    async def _follow(self, field: str, client: httpx.AsyncClient, request: httpx.Request) -> bytes:
        # httpx itself would read the body of every redirect, however long.
        for _ in range(MAX_REDIRECTS + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    return await self._content(field, response)
                request = response.next_request
            finally:
                await response.aclose()
        raise _cannot_fetch(field, f"it redirects more than {MAX_REDIRECTS} times")

    async def _content(self, field: str, response: httpx.Response) -> bytes:
        if response.status_code != HTTPStatus.OK:
            raise _cannot_fetch(field, f"its server answers {response.status_code}")
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self.max_bytes:
                raise file_too_large(field, self.max_bytes)
        return bytes(content)


def _cannot_fetch(field: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"Invalid value for '{field}': the URL cannot be fetched, because {reason}.", field
    )
