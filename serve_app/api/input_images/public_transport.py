"""HTTP to the public internet, for addresses that strangers choose."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import httpx

from serve_app.api.input_images.public_addresses import IpAddress, addresses_of, is_public

MAX_PORT = 65535


class NotPublicError(httpx.TransportError):
    """A host that is not on the public internet, or does not exist; which one stays unsaid."""


class PublicTransport(httpx.AsyncBaseTransport):
    """Connects to public addresses only, and to the very address that was checked.

    A name that is asked for twice can have two answers, one to be checked and one to be connected
    to. So it is asked for once, by every request anew; redirects are requests.
    """

    def __init__(
        self,
        is_allowed: Callable[[IpAddress], bool] = is_public,
        authorities: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            is_allowed: Whether an address may be connected to.
            authorities: Who vouches for servers; by default, whoever browsers trust.
        """
        self._is_allowed = is_allowed
        self._inner = httpx.AsyncHTTPTransport(
            verify=authorities or _public_authorities(),
            # Two names at one address would share a connection, checked for the first name only.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to its host, at the first of its addresses that answers."""
        *earlier, last = await self._checked_addresses(request.url)
        for address in earlier:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._inner.handle_async_request(_sent_to(address, request))
        return await self._inner.handle_async_request(_sent_to(last, request))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    async def _checked_addresses(self, url: httpx.URL) -> list[IpAddress]:
        has_port = url.port is None or 0 < url.port <= MAX_PORT
        if url.scheme not in ("http", "https") or not has_port:
            raise httpx.UnsupportedProtocol("neither http nor https")
        addresses = await addresses_of(_host(url))
        if not addresses or not all(map(self._is_allowed, addresses)):
            raise NotPublicError("not public")
        return addresses


def _sent_to(address: IpAddress, request: httpx.Request) -> httpx.Request:
    """Return a request that asks an address for what it would ask the host for."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        extensions={**request.extensions, "sni_hostname": _host(request.url)},
    )


def _host(url: httpx.URL) -> str:
    """Return the name as the wire has it; Python would encode other scripts in an older way."""
    return url.raw_host.decode("ascii")


@cache
def _public_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
