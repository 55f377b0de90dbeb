"""Multipart bodies, whole and broken, in pieces of every size."""

import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.bodies.multipart import MAX_PARTS, Part, PartReader
from serve_app.errors import InvalidRequestError, PayloadTooLargeError, RequestError
from tests.unit.api.raw_requests import in_pieces

MAX_FILE_BYTES = 1000
CONTENT_TYPE = "multipart/form-data; boundary=B"
END = b"--B--\r\n"


def part(*headers: bytes, content: bytes = b"x") -> bytes:
    return b"\r\n".join([b"--B", *headers, b"", content, b""])


def named(name: bytes, content: bytes = b"x", *more: bytes) -> bytes:
    return part(b'Content-Disposition: form-data; name="' + name + b'"', *more, content=content)


def file(name: bytes, content: bytes, filename: bytes = b"a.png") -> bytes:
    return named(name + b'"; filename="' + filename, content)


def read(body: bytes, content_type: str = CONTENT_TYPE, size: int = 65536) -> tuple[Part, ...]:
    reader = PartReader(content_type, MAX_FILE_BYTES)
    for chunk in in_pieces(body, size):
        reader.write(chunk)
    return reader.parts()


def refusal(body: bytes, content_type: str = CONTENT_TYPE, size: int = 65536) -> str:
    """Return why a body is refused, which must not take a second."""
    started_at = time.process_time()
    with pytest.raises(InvalidRequestError) as refused:
        read(body, content_type, size)
    assert time.process_time() - started_at < 1
    return refused.value.message


@given(
    st.lists(st.tuples(st.text("abc[]é", min_size=1), st.none() | st.just("f"), st.binary())),
    st.integers(1, 300),
)
def test_what_a_client_encodes_is_read(
    fields: list[tuple[str, str | None, bytes]], size: int
) -> None:
    files = [(name, (filename, content)) for name, filename, content in fields]
    request = httpx.Request("POST", "http://krea.test", files=files or [("a", (None, b""))])
    parts = read(request.read(), request.headers["content-type"], size)
    expected = [Part(*field) for field in fields] or [Part("a", None, b"")]
    assert list(parts) == expected


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=B", 'multipart/form-data; charset=utf-8; boundary="B"'],
)
def test_content_types_that_are_read(content_type: str) -> None:
    assert read(named(b"a") + END, content_type) == (Part("a", None, b"x"),)


def test_an_empty_form_has_no_parts() -> None:
    assert read(END) == ()


def test_files_have_the_names_their_clients_gave_them() -> None:
    names = [b"../../x", b"x.png\0.html", "ü.png".encode(), b"\xff", b"", b"C:\\dir\\a.png"]
    parts = read(b"".join(file(b"image", b"1", name) for name in names) + END)
    assert [part.filename for part in parts] == [
        "../../x",
        "x.png\0.html",
        "ü.png",
        "\ufffd",
        "",
        "a.png",
    ]
    assert {part.content for part in parts} == {b"1"}


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary*=B",
    ],
)
def test_without_a_boundary_there_is_no_form(content_type: str) -> None:
    assert "no boundary" in refusal(named(b"a") + END, content_type)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ended early"),
        (named(b"a"), "ended early"),
        (named(b"a") + b"--B", "ended early"),
        (named(b"a")[:20], "ended early"),
        (file(b"image", b"\x89PNG")[:-2], "ended early"),
        (b"hello", "not valid"),
        (b"--C\r\n\r\n--C--", "not valid"),
        (b'{"prompt": "x"}', "not valid"),
        (b"--B\r\nno colon\r\n\r\nx\r\n" + END, "not valid"),
        (b"--B\r\n: empty\r\n\r\nx\r\n" + END, "not valid"),
        (b"--B\r\na b: c\r\n\r\nx\r\n" + END, "not valid"),
        (part(*[b"X: y"] * 9) + END, "header count"),
        (named(b"a" * 5000) + END, "header size"),
        (part(b"X" * 5000 + b": y") + END, "header size"),
        (file(b"image", b"1", b"f" * 8192) + END, "header size"),
        (part(b"X: " + b" " * 5000 + b"y") + END, "header size"),
        (part() + END, "no Content-Disposition"),
        (part(b"Content-Type: text/plain") + END, "no Content-Disposition"),
        (part(b'Content-Disposition: attachment; name="a"') + END, "no Content-Disposition"),
        (part(b"Content-Disposition: form-data") + END, "no name"),
        (named(b"") + END, "no name"),
        (part(b"Content-Disposition: form-data; name*=utf-8''a") + END, "no name"),
        (named(b"\xff") + END, "not UTF-8"),
        (named(b"a\0b") + END, r"'a\x00b'"),
        (named(b"a\x1bb") + END, r"'a\x1bb'"),
        (named(b"a", b"x", b"Content-Type: multipart/mixed; boundary=C") + END, "within the form"),
    ],
)
@pytest.mark.parametrize("size", [1, 65536])
def test_broken_bodies(body: bytes, words: str, size: int) -> None:
    assert words in refusal(body, size=size)


def test_a_boundary_can_be_too_long() -> None:
    assert "Boundary length" in refusal(END, f"multipart/form-data; boundary={'B' * 1000}")


@pytest.mark.parametrize("size", [4, 65536])
def test_parts_are_counted(size: int) -> None:
    assert len(read(named(b"a") * MAX_PARTS + END, size=size)) == MAX_PARTS
    assert "more than 200 parts" in refusal(named(b"a") * (MAX_PARTS + 1) + END, size=size)
    assert "more than 200 parts" in refusal(named(b"a") * 1000 + END, size=size)


def test_what_only_begins_like_a_boundary_is_counted_too() -> None:
    body = b"\r\n--Bx" * 1_000_000
    assert "more than 200 parts" in refusal(file(b"image", body) + END)


@pytest.mark.parametrize("blank", [b" ", b"\t"])
@pytest.mark.parametrize("size", [1, 3, 65536, 10**8])
def test_a_boundary_is_followed_by_no_blanks(blank: bytes, size: int) -> None:
    padded = named(b"a") + b"--B" + blank
    assert "blanks behind it" in refusal(padded + b"\r\n", size=size)
    assert "blanks behind it" in refusal(padded + blank * 1_000_000, size=size)
    assert read(named(b"a", b"x--B" + blank) + END, size=size)


@pytest.mark.parametrize("size", [1, 100, 65536])
@pytest.mark.parametrize("name", [b"image", b"image[]", b"image[a][b]"])
def test_a_file_over_its_limit_is_refused_by_its_fields_name(name: bytes, size: int) -> None:
    assert read(file(name, bytes(MAX_FILE_BYTES)) + END, size=size)
    with pytest.raises(PayloadTooLargeError) as refused:
        read(file(name, bytes(MAX_FILE_BYTES + 1)), size=size)
    assert refused.value.param == "image"
    assert refused.value.message == "'image' is larger than 0.001 MB."


def test_a_file_over_its_limit_is_refused_by_its_field_s_canonical_name() -> None:
    reader = PartReader("multipart/form-data; boundary=B", MAX_FILE_BYTES, {"images": "image"})
    with pytest.raises(PayloadTooLargeError) as refused:
        reader.write(file(b"images[]", bytes(MAX_FILE_BYTES + 1)))
    assert refused.value.param == "image"


def test_text_has_no_limit_of_its_own() -> None:
    assert len(read(named(b"image_url", bytes(5000)) + END)[0].content) == 5000


def test_what_follows_the_end_is_ignored() -> None:
    assert read(named(b"a") + END + b"epilogue") == (Part("a", None, b"x"),)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_arbitrary_bytes_are_parts_or_a_refusal(body: bytes, size: int) -> None:
    for content in (body, b"--B" + body, named(b"a")[:-1] + body):
        try:
            parts = read(content, size=size)
        except RequestError:
            continue
        assert all(part.name for part in parts)
