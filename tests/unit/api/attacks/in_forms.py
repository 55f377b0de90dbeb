"""Multipart bodies that are broken, endless, or mean something else than they say."""

from tests.unit.api.attacks.attack import (
    EDITS,
    END,
    FORM,
    Attack,
    file_part,
    form_post,
    part,
    post,
    text_part,
)
from tests.unit.api.image_samples import noise, samples, saved

PROMPT = text_part("prompt", "x")
SMALL = text_part("size", "64x64")


def image(filename: bytes = b"a.png", name: str = "image") -> bytes:
    return file_part(samples()["png"], name, filename)


def form(name: str, *parts: bytes, status: int = 400, param: str | None = None) -> Attack:
    """Return an edit that is complete but for the parts added to it."""
    return Attack(f"form: {name}", form_post(PROMPT, SMALL, image(), *parts), status, param)


def content_type(name: str, value: str | bytes) -> Attack:
    return Attack(f"form: {name}", form_post(PROMPT, SMALL, image(), content_type=value))


FRAMES = (
    content_type("no boundary", "multipart/form-data"),
    content_type("an empty boundary", 'multipart/form-data; boundary=""'),
    content_type("another boundary", "multipart/form-data; boundary=C"),
    content_type("a boundary of 10 kB", f"multipart/form-data; boundary={'B' * 10_000}"),
    content_type("a boundary in bytes", b"multipart/form-data; boundary=\xff\xfe"),
    content_type("a boundary in RFC 2231", "multipart/form-data; boundary*0=B; boundary*1="),
    content_type("a boundary that is half quoted", 'multipart/form-data; boundary="B'),
    content_type(
        "10 000 parameters", f"multipart/form-data; {'; '.join(['a=b'] * 10_000)}; boundary=C"
    ),
    Attack("form: empty", post(EDITS, FORM, b"")),
    Attack("form: its end only", form_post(), 400, "prompt"),
    Attack("form: without its end", form_post(PROMPT, image(), end=b"")),
    Attack("form: cut in a part", form_post(PROMPT, end=image()[:200])),
    Attack("form: cut in a header", form_post(PROMPT, end=b"--B\r\nContent-Disposition: form-da")),
    Attack("form: no form", post(EDITS, FORM, b"\x89PNG\r\n\x1a\n" * 1000)),
    Attack("form: blanks behind a boundary", form_post(PROMPT, end=b"--B" + b" " * 1_000_000)),
    Attack("form: a million near-boundaries", form_post(end=b"--B\r\n" + b"\r\n--Bx" * 400_000)),
    Attack("form: an epilogue", form_post(PROMPT, SMALL, image(), end=END + b"\0" * 100_000), 200),
    Attack("form: a JSON body that says it is one", post(EDITS, FORM, b'{"prompt": "x"}')),
)

PARTS = (
    form("1000 parts", *[text_part("a", "b")] * 1000),
    form("150 lists in lists", *[text_part("a[b][][c]", "d")] * 150, status=200),
    form(
        "a form within",
        part(
            b'Content-Disposition: form-data; name="a"',
            b"Content-Type: multipart/mixed; boundary=C",
        ),
        param="a",
    ),
    form("no disposition", part(b"Content-Type: text/plain")),
    form("no name", part(b"Content-Disposition: form-data")),
    form("an empty name", text_part("", "x")),
    form("a name with NUL", text_part("a\0b", "x")),
    form("a name with escapes", text_part("a\x1b[2Jb", "x")),
    form("a name that is not UTF-8", part(b'Content-Disposition: form-data; name="\xff"')),
    form("a name of 100 kB", text_part("a" * 100_000, "x")),
    form("a header of 1 MB", part(b"X-A: " + b"a" * 1_000_000)),
    form("1000 headers in a part", part(*[b"X-A: b"] * 1000)),
    form("a header without a colon", part(b"no colon")),
    form(
        "10 000 parameters in a header", part(b"Content-Disposition: form-data" + b"; a=b" * 10_000)
    ),
    form("name[10 000 keys]", text_part("a" + "[b]" * 1000, "x"), status=200),
    form("name[[[[", text_part("a[[[[]]", "x"), status=200),
    form("names of objects' insides", text_part("__proto__[n]", "99"), status=200),
)

FIELDS = (
    form("the prompt twice", PROMPT, param="prompt"),
    form("two images", image(), param="image"),
    form("image and image[]", image(name="image[]"), param="image"),
    form("an object that is also text", text_part("a", "b"), text_part("a[c]", "d"), param="a"),
    form("a field that is not UTF-8", text_part("user", b"\xff\xfe"), param="user"),
    form("a field with NUL", text_part("user", "a\0b"), param="user"),
    form("a surrogate in bytes", text_part("user", b"\xed\xa0\x80"), param="user"),
    form("n=0x2", text_part("n", "0x2"), param="n"),
    form("n in Arabic digits", text_part("n", "٢"), param="n"),
    form("n of 5000 digits", text_part("n", "9" * 5000), param="n"),
    form("n of 900 digits", text_part("n", "9" * 900), param="n"),
    form("cfg_scale=nan", text_part("cfg_scale", "nan"), param="cfg_scale"),
    form("cfg_scale=inf", text_part("cfg_scale", "Infinity"), param="cfg_scale"),
    form("cfg_scale=1e999", text_part("cfg_scale", "1e999"), param="cfg_scale"),
    form("cfg_scale of 1 MB", text_part("cfg_scale", "1" * 1_000_000), param="cfg_scale"),
    form("stream=yes", text_part("stream", "yes"), param="stream"),
    form("strength as a file", file_part(b"0.5", "strength"), param="strength"),
    form("image_size as a list", text_part("image_size[]", "64"), param="image_size"),
    form("a width of 5000 digits", text_part("image_size[width]", "9" * 5000), param="image_size"),
    Attack("form: the image as text", form_post(PROMPT, text_part("image", "hello")), 400, "image"),
    Attack(
        "form: the image as a path",
        form_post(PROMPT, text_part("image", "/etc/passwd")),
        400,
        "image",
    ),
    Attack(
        "form: the prompt as a file", form_post(file_part(b"x", "prompt"), image()), 400, "prompt"
    ),
)

FILES = (
    *(
        Attack(f"file name: {name[:20]!r}", form_post(PROMPT, SMALL, image(name)), 200)
        for name in (
            b"../../../../etc/passwd",
            b"..\\..\\boot.ini",
            b"/dev/stdin",
            b"x.png\0.html",
            b"x.php",
            b"\xff\xfe",
            b"\xe2\x80\xaegnp.exe",
            b"f" * 3000,
            b"",
        )
    ),
    Attack("file name: a line break", form_post(PROMPT, SMALL, image(b"a\rInjected: yes"))),
    Attack("file name: 8 kB", form_post(PROMPT, SMALL, image(b"f" * 8192))),
    Attack("file: none", form_post(PROMPT, file_part(b"", filename=b"")), 400, "image"),
    Attack("file: empty", form_post(PROMPT, file_part(b"")), 400, "image"),
    Attack(
        "file: over its limit", lambda: form_post(PROMPT, file_part(bytes(1_000_001))), 413, "image"
    ),
    Attack(
        "mask: over its limit",
        lambda: form_post(PROMPT, image(), file_part(bytes(1_000_001), "mask")),
        413,
        "mask",
    ),
    form("a mask of another size", file_part(saved(noise(64, 64), "PNG"), "mask"), param="mask"),
    form("a mask that is text", file_part(b"hello", "mask"), param="mask"),
    form(
        "an opaque mask",
        file_part(saved(noise(32, 48).convert("RGBA"), "PNG"), "mask"),
        param="mask",
    ),
)

ATTACKS = (*FRAMES, *PARTS, *FIELDS, *FILES)
