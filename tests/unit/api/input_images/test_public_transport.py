"""The connection goes to the address that was checked, under the name that was asked for."""

import socket
import ssl
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
import trustme

from serve_app.api.input_images.public_addresses import IpAddress
from serve_app.api.input_images.public_transport import NotPublicError, PublicTransport
from tests.unit.api.web_server import KEEP_ALIVE, ok, serving

NAME = "pictures.example"
LOOPBACK = ip_address("127.0.0.1")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names, and the addresses each of them has: the first item is taken by every question."""
    known: dict[str, list[str]] = {}

    def answer(host: str, port: int | None, *_: object, **__: object) -> list[Any]:
        if host not in known:
            return resolve(host, port, type=socket.SOCK_STREAM)
        addresses = known[host].pop(0).split()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


def only_loopback(address: IpAddress) -> bool:
    return address == LOOPBACK


async def get(url: str, transport: httpx.AsyncBaseTransport) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, timeout=20) as client:
        return await client.get(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.1]"]
)
async def test_by_default_loopback_is_not_connected_to(host: str) -> None:
    async with serving({"/": ok(b"secret")}) as web:
        with pytest.raises((NotPublicError, httpx.InvalidURL)):
            await get(f"http://{host}:{web.port}/", PublicTransport())
    assert web.requests == []


async def test_what_is_allowed_is_connected_to() -> None:
    async with serving({"/a?b=c": ok(b"hello")}) as web:
        url = f"http://localhost:{web.port}/a?b=c"
        response = await get(url, PublicTransport(lambda address: address.is_loopback))
    assert response.content == b"hello"
    assert str(response.request.url) == url
    assert f"Host: localhost:{web.port}" in web.requests[0]


async def test_one_private_address_among_public_ones_is_enough(names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.1 10.0.0.1"]
    async with serving({"/": ok(b"secret")}) as web:
        with pytest.raises(NotPublicError):
            await get(f"http://{NAME}:{web.port}/", PublicTransport(only_loopback))
    assert web.requests == []


async def test_a_name_is_asked_for_once(names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.1", "10.0.0.1"]
    async with serving({"/": ok(b"hello")}) as web:
        response = await get(f"http://{NAME}:{web.port}/", PublicTransport(only_loopback))
    assert response.content == b"hello"
    assert names[NAME] == ["10.0.0.1"], "the second answer was never wanted"


async def test_the_next_address_is_tried(names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.2 127.0.0.1"]
    async with serving({"/": ok(b"hello")}, host="127.0.0.1") as web:
        transport = PublicTransport(lambda address: address.is_loopback)
        assert (await get(f"http://{NAME}:{web.port}/", transport)).content == b"hello"


async def test_when_no_address_answers_it_is_an_error(names: dict[str, list[str]]) -> None:
    names[NAME] = ["127.0.0.2 127.0.0.1"]
    async with serving({}) as web:
        port = web.port
    with pytest.raises(httpx.ConnectError):
        await get(f"http://{NAME}:{port}/", PublicTransport(lambda address: True))


@pytest.mark.parametrize(
    "url",
    ["ftp://localhost/", "file:///etc/passwd", "http://localhost:0/", "http://localhost:65536/"],
)
async def test_other_protocols_and_ports(url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await get(url, PublicTransport(lambda address: True))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> PublicTransport:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return PublicTransport(only_loopback, context)


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_https_is_checked_by_name_at_the_checked_address(
    names: dict[str, list[str]], authority: trustme.CA, trusting: PublicTransport
) -> None:
    names[NAME] = ["127.0.0.1"]
    asked_for: list[str] = []
    tls = certified(authority, NAME)
    tls.sni_callback = lambda _, name, __: asked_for.append(name)
    async with serving({"/": ok(b"hello")}, tls=tls) as web:
        response = await get(f"https://{NAME}:{web.port}/", trusting)
    assert response.content == b"hello"
    assert asked_for == [NAME]
    assert f"Host: {NAME}:{web.port}" in web.requests[0]


async def test_a_certificate_for_another_name_is_refused(
    names: dict[str, list[str]], authority: trustme.CA, trusting: PublicTransport
) -> None:
    names[NAME] = ["127.0.0.1"]
    async with serving({"/": ok(b"hello")}, tls=certified(authority, "other.example")) as web:
        with pytest.raises(httpx.ConnectError):
            await get(f"https://{NAME}:{web.port}/", trusting)
    assert web.requests == []


async def test_a_connection_is_not_shared_by_two_names(
    names: dict[str, list[str]], authority: trustme.CA, trusting: PublicTransport
) -> None:
    names |= {NAME: ["127.0.0.1"], "other.example": ["127.0.0.1"]}
    answers = {"/": ok(b"hello", KEEP_ALIVE)}
    async with (
        serving(answers, tls=certified(authority, NAME)) as web,
        httpx.AsyncClient(transport=trusting) as client,
    ):
        assert (await client.get(f"https://{NAME}:{web.port}/")).content == b"hello"
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://other.example:{web.port}/")


async def test_an_unknown_authority_is_refused(
    names: dict[str, list[str]], authority: trustme.CA
) -> None:
    names[NAME] = ["127.0.0.1"]
    async with serving({"/": ok(b"hello")}, tls=certified(authority, NAME)) as web:
        with pytest.raises(httpx.ConnectError):
            await get(f"https://{NAME}:{web.port}/", PublicTransport(only_loopback))
    assert web.requests == []
