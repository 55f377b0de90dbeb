"""Images by URL: from good servers, from slow and endless ones, and never from inside."""

import asyncio
import time

import pytest

from serve_app.api.input_images.public_addresses import IpAddress
from serve_app.api.input_images.public_transport import PublicTransport
from serve_app.api.input_images.remote import RemoteImages
from serve_app.errors import InvalidRequestError, PayloadTooLargeError
from tests.unit.api.web_server import Answer, WebServer, ok, redirect, serving

MAX_BYTES = 100_000
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"

FROM_OUTSIDE = RemoteImages(MAX_BYTES)
NOT_PUBLIC = "unknown or not on the public internet"


def only_127_0_0_1(address: IpAddress) -> bool:
    return str(address) == "127.0.0.1"


def images(timeout_s: float = 20) -> RemoteImages:
    """Return what may fetch from 127.0.0.1, and from nowhere else."""
    return RemoteImages(MAX_BYTES, timeout_s, lambda: PublicTransport(only_127_0_0_1))


async def fetched(web: WebServer, path: str = "/a.png", timeout_s: float = 20) -> bytes:
    return await images(timeout_s).fetch("image", f"http://127.0.0.1:{web.port}{path}")


async def refusal(web: WebServer, path: str = "/a.png", timeout_s: float = 20) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        await fetched(web, path, timeout_s)
    assert refused.value.param == "image"
    return refused.value.message


async def test_a_file_is_fetched() -> None:
    async with serving({"/a.png": ok(b"picture" * 1000)}) as web:
        assert await fetched(web) == b"picture" * 1000


async def test_what_is_sent_says_nothing_of_the_user() -> None:
    async with serving({"/a.png": ok(b"x")}) as web:
        await fetched(web)
    (head,) = web.requests
    names = {line.partition(":")[0].lower() for line in head[1:] if line}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent"}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://0x7f.1:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://[::1]:{port}/a.png",
        "http://[::ffff:7f00:1]:{port}/a.png",
        "http://user@127.0.0.1:{port}/a.png",
        "http://1.1.1.1\\@127.0.0.1:{port}/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://no-such-host.invalid/a.png",
    ],
)
async def test_inside_and_unknown_hosts_are_refused_alike(url: str) -> None:
    async with serving({"/a.png": ok(b"secret")}) as web:
        with pytest.raises(InvalidRequestError) as refused:
            await FROM_OUTSIDE.fetch("image", url.format(port=web.port))
    assert web.requests == []
    assert refused.value.message == (
        f"Invalid value for 'image': the URL cannot be fetched, because its host is {NOT_PUBLIC}."
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.png",
        "//127.0.0.1/a.png",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "gopher://127.0.0.1/",
        "http:///a.png",
        "http://0177.0.0.1/a.png",
        "http://a\0b/",
        "http://a\nb/",
        "http://[::1/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://\ud800/",
        "http://127.0.0.1/\ud800",
        "http://xn--/",
        "http://xn--a/a.png",
        "http://" + "a" * 100_000,
    ],
)
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="not a valid http or https URL") as refused:
        await FROM_OUTSIDE.fetch("mask", url)
    assert refused.value.param == "mask"
    assert len(refused.value.message) < 300


async def test_redirects_are_followed() -> None:
    answers = {"/a.png": redirect("/b"), "/b": redirect("./c?d=e"), "/c?d=e": ok(b"picture")}
    async with serving(answers) as web:
        assert await fetched(web) == b"picture"


async def test_a_fourth_redirect_is_one_too_many() -> None:
    answers = {f"/{number}": redirect(f"/{number + 1}") for number in range(4)}
    async with serving({**answers, "/4": ok(b"picture")}) as web:
        assert await fetched(web, "/1") == b"picture"
        assert "redirects more than 3 times" in await refusal(web, "/0")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://127.0.0.2:{port}/secret", NOT_PUBLIC),
        ("http://localhost.invalid/secret", NOT_PUBLIC),
        ("http://169.254.169.254/secret", NOT_PUBLIC),
        ("//[::1]:{port}/secret", NOT_PUBLIC),
        ("file:///etc/passwd", "not a valid http or https URL"),
        ("http://127.0.0.1:0/", "not a valid http or https URL"),
        ("http://xn--/", "not a valid http or https URL"),
    ],
)
async def test_every_redirect_is_checked_anew(location: str, words: str) -> None:
    answers = {"/secret": ok(b"secret")}
    async with serving(answers) as web, serving(answers, host="127.0.0.2") as inside:
        web.answers = {"/a.png": redirect(location.format(port=inside.port))}
        assert words in await refusal(web)
    assert inside.requests == []


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving({"/a.png": ok(b"picture")}) as web, serving({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await fetched(web) == b"picture"
    assert proxy.requests == []


async def test_cookies_are_not_carried_on() -> None:
    answers = {"/a.png": redirect("/b", "Set-Cookie: session=1; Path=/"), "/b": ok(b"picture")}
    async with serving(answers) as web:
        await fetched(web)
    assert len(web.requests) == 2
    assert not any("cookie" in line.lower() for head in web.requests for line in head)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(bytes(10_000))
        await writer.drain()


async def endless_redirect(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
    while True:
        writer.write(bytes(10_000))
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    "answer", [endless, ok(bytes(MAX_BYTES + 1)), b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_BYTES + 1)]
)
async def test_a_file_over_the_limit_is_not_read_to_its_end(answer: Answer) -> None:
    async with serving({"/a.png": answer}) as web:
        with pytest.raises(PayloadTooLargeError) as refused:
            await fetched(web)
    assert refused.value.message == "'image' is larger than 0.1 MB."


async def test_the_limit_itself_is_allowed() -> None:
    async with serving({"/a.png": ok(bytes(MAX_BYTES))}) as web:
        assert len(await fetched(web)) == MAX_BYTES


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with serving({"/a.png": ok(b"\x1f\x8b", "Content-Encoding: gzip")}) as web:
        assert await fetched(web) == b"\x1f\x8b"


async def test_the_body_of_a_redirect_is_not_read() -> None:
    async with serving({"/a.png": endless_redirect, "/b": ok(b"picture")}) as web:
        assert await fetched(web) == b"picture"


@pytest.mark.parametrize("answer", [dripping, silent])
async def test_a_slow_server_is_left(answer: Answer) -> None:
    started_at = time.monotonic()
    async with serving({"/a.png": answer}) as web:
        assert "longer than 0.5 seconds" in await refusal(web, timeout_s=0.5)
    assert time.monotonic() - started_at < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "answers 500"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n\r\n", "answers 206"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answers 302"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "the connection failed"),
        (b"", "the connection failed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "the connection failed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", "the connection failed"),
    ],
)
async def test_bad_answers(answer: bytes, words: str) -> None:
    async with serving({"/a.png": answer}) as web:
        assert words in await refusal(web)


async def test_a_closed_port() -> None:
    async with serving({}) as web:
        pass
    assert "the connection failed" in await refusal(web)


async def test_cancelling_ends_the_fetch() -> None:
    async with serving({"/a.png": silent}) as web:
        fetching = asyncio.create_task(fetched(web))
        while not web.requests:
            await asyncio.sleep(0.01)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
