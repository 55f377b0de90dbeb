"""Text that is no JSON, and JSON that is no request."""

import json

from tests.unit.api.attacks.attack import EDITS, Attack, brief, json_of, json_post

SMALL_PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/"
    "AAX+Av4N70a4AAAAAElFTkSuQmCC"
)


def refused(name: str, *texts: str, param: str | None = None) -> tuple[Attack, ...]:
    """Return an attack for each value of a field, given as JSON text; the error names the field."""
    return tuple(
        Attack(f"{name}={brief(text)}", json_post(json_of({name: text})), 400, param or name)
        for text in texts
    )


def unparsed(name: str, *texts: str) -> tuple[Attack, ...]:
    """Return an attack for each value that is not JSON, so that nobody knows the field."""
    return tuple(
        Attack(f"{name}={brief(text)}", json_post(json_of({name: text}))) for text in texts
    )


def accepted(name: str, *texts: str) -> tuple[Attack, ...]:
    """Return an attack for each odd value that is a good one all the same."""
    return tuple(
        Attack(f"{name}={brief(text)}", json_post(json_of({name: text})), 200) for text in texts
    )


def unknown_model(*texts: str) -> tuple[Attack, ...]:
    """Return an attack for each name of a model that is not served."""
    return tuple(
        Attack(
            f"model={brief(text)}",
            json_post(json_of({"model": text})),
            404,
            "model",
            "MODEL_NOT_FOUND",
        )
        for text in texts
    )


def body(name: str, content: bytes | str, status: int = 400, param: str | None = None) -> Attack:
    return Attack(f"body: {name}", json_post(content), status, param)


BODIES = (
    body("empty", b""),
    body("blanks", b" \n\t"),
    body("NUL", b"\0"),
    body("null", b"null"),
    body("a list", b"[]"),
    body("a number", b"1e999"),
    body("a string", b'"prompt"'),
    body("half an object", b'{"prompt": "x"'),
    body("text after it", json_of({}) + "{}"),
    body("a comment", "{/**/" + json_of({})[1:]),
    body("a comma too many", b'{"prompt": "x",}'),
    body("single quotes", b"{'prompt': 'x'}"),
    body("bytes that are not UTF-8", b'{"prompt": "\xff\xfe"}'),
    body("overlong UTF-8", b'{"prompt": "\xc0\xae"}'),
    body("UTF-16", json_of({}).encode("utf-16")),
    body("UTF-8 with a mark", json_of({}).encode("utf-8-sig"), 200),
    body("a raw control character", b'{"prompt": "a\x1bb"}'),
    body("200 000 lists deep", b"[" * 200_000),
    body("200 000 objects deep", b'{"a":' * 200_000),
    body("deep within a field", json_of({"x": "[" * 100_000 + "]" * 100_000})),
    body("a field twice", b'{"prompt": "x", "prompt": "y"}', 400, "prompt"),
    body("a field twice, escaped", b'{"prompt": "x", "\\u0070rompt": "y"}', 400, "prompt"),
    body(
        "a field twice, deep down",
        json_of({"image_size": '{"width": 1, "width": 2}'}),
        400,
        "width",
    ),
    body("half a surrogate pair as a name", b'{"prompt": "x", "\\ud800": 1}'),
    body("a million members", "{" + ",".join(f'"{i}":1' for i in range(200_000)) + "}", 400),
    body("a million numbers", json_of({"x": "[" + "1," * 500_000 + "1]"}), 400),
    body("many members", "{" + ",".join(f'"{i}":1' for i in range(90_000)) + "}", 400, "prompt"),
    body("many numbers", json_of({"x": "[" + "1," * 90_000 + "1]"}), 200),
    body("names of objects' insides", json_of({"__proto__": '{"n": 99}', "__class__": '"x"'}), 200),
    body("more than the limit", b" " * 3_000_001, 413),
)

TEXTS = (
    *refused(
        "prompt",
        '""',
        '"   \\n\\t"',
        '"\\u3000\\u2003"',
        '"a\\u0000b"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        json.dumps("x" * 32_001),
        json.dumps("x" * 1_000_000),
        "1",
        "true",
        "[]",
        '["x"]',
        '{"text": "x"}',
    ),
    *refused("prompt", "null"),
    *accepted(
        "prompt",
        '"a\\r\\nInjected: yes"',
        '"\\u001b[2J\\u001b]0;title\\u0007"',
        '"\\u202etxet\\u2066\\u2069"',
        '"a\\u2028\\u2029\\u0085"',
        '"\\ufeff\\u200b\\u200d"',
        '"\\uffff\\ufffe"',
        json.dumps("🏔" * 4000),
        '"{0.__class__.__mro__}"',
        '"%s%n%x%d"',
        '"${jndi:ldap://127.0.0.1/a}"',
        "\"{{7*7}}{% include '/etc/passwd' %}\"",
        '"\'; DROP TABLE requests; --"',
        '"<script>alert(1)</script><img src=x onerror=alert(1)>"',
    ),
    *refused("user", '"a\\u0000b"', '"\\ud83d"', json.dumps("u" * 1001), "7"),
    *refused("model", "1", "[]", "{}"),
    *unknown_model(
        '""',
        '"../../etc/passwd"',
        '"dall-e-3\\r\\nInjected: yes"',
        '"{0.__class__}"',
        '"FLUX.1-\\u212aREA-DEV"',
        json.dumps("m" * 1_000_000),
    ),
)

MANY_DIGITS = "9" * 5000

NUMBERS = (
    *refused(
        "n",
        "0",
        "-0",
        "-1",
        "11",
        "1.5",
        "1e2",
        "true",
        '"2"',
        '""',
        "[1]",
        str(2**31),
        str(2**64),
        MANY_DIGITS,
        f"-{MANY_DIGITS}",
    ),
    *unparsed("n", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "01", "+1", ".5", "0x1"),
    *refused("seed", "-1", str(2**63), "1" + "0" * 23, "1e300", "0.5", MANY_DIGITS, '"1"', "false"),
    *accepted("seed", "0", "-0", str(2**63 - 1), "1e3"),
    *refused("num_inference_steps", "0", "51", "1000000000", "-1", "28.5"),
    *refused("cfg_scale", "-0.1", "20.1", "1e300", '"4.5"', "true", MANY_DIGITS, "[4.5]"),
    *accepted("cfg_scale", "1e-999999999", f"0.{'1' * 1_000_000}"),
    *unparsed("cfg_scale", f"1e{'9' * 1000}", "NaN"),
    *refused("strength", "-0.001", "1.001", '"0.5"'),
    *refused("output_compression", "-1", "101", "50.5"),
    *refused("partial_images", "-1", "4"),
    *refused("stream", "1", '"true"', "[]"),
    *refused(
        "output_format", '"bmp"', '"svg"', '"../png"', '"png\\u0000"', "7", json.dumps("p" * 10**6)
    ),
    *refused("response_format", '"junk"', '"URL"', "1"),
)

SIZES = (
    *refused(
        "size",
        '"0x0"',
        '"-1x-1"',
        '"1x"',
        '"x1"',
        '"1024x1024x3"',
        '"2049x1"',
        '"99999x99999"',
        '"1.5x2"',
        '"1e3x1e3"',
        '"0:1"',
        '"1:0"',
        '"-1:1"',
        '"٤x٤"',
        '"1024\\u00a0x1024"',
        '"1024x1024\\n"',
        '"1024x1024\\u0000"',
        '"\\ud800"',
        f'"{MANY_DIGITS}x1"',
        f'"{MANY_DIGITS}:1"',
        f'"1{" " * 1_000_000}x"',
        f'"{"1" * 1_000_000}"',
        f'"1.{"1" * 1_000_000}:"',
        f'"{"x" * 1_000_000}"',
        "1024",
        "[64, 64]",
        '{"width": 64}',
    ),
    *refused("aspect_ratio", '"16x9"', '"0:0"', '"a:b"', '"1:1:1"', "1.5", '"NaN:1"', '"inf:1"'),
    *refused(
        "resolution", '"0K"', '"-1K"', '"big"', "0", "-1", "true", '"1e9K"', f'"{MANY_DIGITS}"'
    ),
    *refused("megapixels", '"2"', "1e9", "[]", MANY_DIGITS),
    *refused(
        "image_size",
        '"huge"',
        "7",
        "[]",
        '{"width": 0}',
        '{"width": "64"}',
        '{"width": true, "height": 1}',
        '{"width": 1e308}',
        f'{{"width": {MANY_DIGITS}}}',
        '{"width": [[[]]]}',
    ),
    *refused("width", "64", param="height"),
    *refused("width", "0", "-1", "1e308", MANY_DIGITS),
)

CONTRADICTIONS = (
    Attack("n and num_images", json_post(json_of({"n": "1", "num_images": "2"})), 400, "n"),
    Attack("stream of two", json_post(json_of({"n": "2", "stream": "true"})), 400, "n"),
    Attack("a mask alone", json_post(json_of({"mask": f'"{SMALL_PNG}"'})), 400, "mask"),
    Attack("an edit of nothing", json_post(json_of({}), EDITS), 400, "image"),
)

ATTACKS = (*BODIES, *TEXTS, *NUMBERS, *SIZES, *CONTRADICTIONS)
