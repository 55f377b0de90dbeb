"""Framing, headers, paths, methods and keys."""

from tests.unit.api.attacks.attack import (
    EDITS,
    GENERATIONS,
    KEY,
    UNREADABLE,
    Attack,
    brief,
    chunked,
    json_of,
    json_post,
    post,
    request,
)

BODY = json_of({}).encode()
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
POST = f"POST {GENERATIONS}"
MODELS = "GET /v1/models"


def unreadable(name: str, sent: bytes) -> Attack:
    return Attack(name, sent, 400, code=UNREADABLE)


FRAMING = (
    unreadable("length and chunks", request(POST, JSON, LENGTH, CHUNKED, body=CHUNKS)),
    unreadable("chunks and length", request(POST, JSON, CHUNKED, LENGTH, body=CHUNKS)),
    unreadable("two lengths", request(POST, JSON, LENGTH, "Content-Length: 1", body=BODY)),
    unreadable("a negative length", request(POST, JSON, "Content-Length: -1", body=BODY)),
    unreadable("a length in words", request(POST, JSON, "Content-Length: ten", body=BODY)),
    unreadable("a length of 5000 digits", request(POST, JSON, f"Content-Length: {'9' * 5000}")),
    unreadable("a bad chunk size", request(POST, JSON, CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n")),
    unreadable("line feeds only", b"GET /v1/models HTTP/1.1\nHost: krea\n\n\r\n\r\n"),
    unreadable("a blank before the colon", request(MODELS, "X-A : b")),
    unreadable("NUL in a header", request(MODELS, b"X-A: a\0b")),
    unreadable("a header name with a comma", request(MODELS, "X,A: b")),
    unreadable("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    Attack("a declared terabyte", request(POST, JSON, "Content-Length: 1000000000000"), 413),
    Attack("a length that fits no number", request(POST, JSON, f"Content-Length: {2**63}"), 413),
    Attack(
        "chunks without end",
        lambda: chunked(GENERATIONS, "application/json", *[b" " * 100_000] * 50),
        413,
    ),
    Attack(
        "a form in chunks without end",
        lambda: chunked(EDITS, "multipart/form-data; boundary=B", *[b"\r\n" * 50_000] * 50),
        413,
    ),
    Attack("a body with GET", request(MODELS, JSON, LENGTH, body=BODY), 200),
    Attack(
        "Expect: 100-continue", request(POST, JSON, LENGTH, "Expect: 100-continue", body=BODY), 200
    ),
    Attack("Upgrade: h2c", request(MODELS, "Connection: Upgrade", "Upgrade: h2c"), 200),
    Attack("Upgrade: websocket", request(MODELS, "Connection: Upgrade", "Upgrade: websocket"), 200),
    Attack(
        "a compressed body",
        request(
            POST, JSON, "Content-Encoding: gzip", "Content-Length: 4", body=b"\x1f\x8b\x08\x00"
        ),
    ),
)

HEADERS = (
    # Refused by the gateway in front; the server itself only has to survive them.
    Attack("a header of 200 kB", request(MODELS, f"X-A: {'a' * 200_000}"), 200),
    Attack("1000 headers", request(MODELS, *[f"X-{index}: a" for index in range(1000)]), 200),
    unreadable("an id with a terminal's escapes", request(MODELS, "x-request-id: \x1b[2J")),
    Attack("an id with line breaks", request(MODELS, "x-request-id: a%0d%0aInjected: yes"), 200),
    Attack("an id of 100 kB", request(MODELS, f"x-request-id: {'i' * 100_000}"), 200),
    Attack("a host that is no host", request(MODELS, host="a/b?c=<script>"), 200),
    Attack(
        "a forwarded host with a path",
        request(POST, JSON, LENGTH, "X-Forwarded-Host: injected.test/x?y=", body=BODY),
        200,
    ),
    Attack(
        "a forwarded scheme",
        request(POST, JSON, LENGTH, "X-Forwarded-Proto: injected", body=BODY),
        200,
    ),
    Attack("XML", post(GENERATIONS, "text/xml", b"<a/>"), 415),
    Attack("a content type of 100 kB", post(GENERATIONS, "a" * 100_000, BODY), 415),
    Attack("a content type in bytes", post(GENERATIONS, b"\xff\xfe/\xe9", BODY), 415),
    Attack("a form to generate from", post(GENERATIONS, "multipart/form-data", b""), 415),
    Attack("no content type, no object", request(POST, "Content-Length: 3", body=b"a=b"), 415),
    Attack("no content type, an object", request(POST, LENGTH, body=BODY), 200),
)

PATHS = (
    *(
        Attack(f"GET {brief(path)}", request(f"GET {path}"), 404)
        for path in (
            "//v1/models",
            "/v1/../-/routes",
            "/v1/%2e%2e/-/routes",
            "/-/routes",
            "/v1/models%00",
            "/v1/models/a%0d%0aInjected:%20yes%ed%a0%80",
            "/%c0%ae%c0%ae/etc/passwd",
            "/v1/nothing%0d%0aInjected:%20yes",
            "/" + "a" * 20_000,
            "/playground/..%2f..%2fapp.py",
            "/playground/index.html%00.js",
            "/media/..%2f..%2fetc%2fpasswd",
            "/media/%2e%2e%2fetc%2fpasswd",
            "/media//etc/passwd",
            "/media/..%5c..%5cetc%5cpasswd",
            "/media/%00.png",
            "/media/" + "0" * 32 + ".png",
            "/media/" + "0" * 88 + ".png",
            "/media/" + "f" * 20_000,
            "/media/x.png%0d%0aInjected:%20yes",
            "/media/%ff%fe.png",
            "/media/%d9%a0.png",
            "/media/{0.__class__}.png",
        )
    ),
    Attack(
        "a model named by a path",
        request("GET /v1/models/..%2f../etc/passwd/"),
        404,
        "model",
        "MODEL_NOT_FOUND",
    ),
    Attack(
        "a model of 20 kB",
        request(f"GET /v1/models/{'m' * 20_000}"),
        404,
        "model",
        "MODEL_NOT_FOUND",
    ),
    Attack("a query of 20 kB", request(f"{MODELS}?{'q' * 20_000}"), 200),
    Attack("a query of broken bytes", request(f"{MODELS}?%ff=%zz&&&="), 200),
)

METHODS = (
    *(
        Attack(f"{method} {path}", request(f"{method} {path}"), 405)
        for method, path in (
            ("GET", GENERATIONS),
            ("DELETE", "/v1/models"),
            ("PUT", "/v1/models"),
            ("TRACE", "/v1/models"),
            ("OPTIONS", "/v1/models"),
            ("POST", "/media/a.png"),
            ("DELETE", "/media/a.png"),
        )
    ),
    Attack("HEAD of what is not there", request("HEAD /media/a.png"), 404, code=UNREADABLE),
    Attack("a method nobody knows", request("BREW /v1/models"), 400, code=UNREADABLE),
)

KEYS = (
    *(
        Attack(f"key: {name}", request(MODELS, *headers, key=None), 401)
        for name, headers in (
            ("none", ()),
            ("no secret", ("Authorization: Bearer",)),
            ("a blank", ("Authorization: Bearer  ",)),
            ("another", ("Authorization: Bearer x",)),
            ("the first half", (f"Authorization: Bearer {KEY[:5]}",)),
            ("one letter more", (f"Authorization: Bearer {KEY}x",)),
            ("quoted", (f'Authorization: Bearer "{KEY}"',)),
            ("Basic", (f"Authorization: Basic {KEY}",)),
            ("no scheme", (f"Authorization: {KEY}",)),
            ("10 kB", (f"Authorization: Bearer {'k' * 10_000}",)),
            ("bytes", (b"Authorization: Bearer \xff\xfe\xe9",)),
            ("two headers", ("Authorization: Bearer x", f"Authorization: Bearer {KEY}")),
            ("in another header", (f"X-Api-Key: {KEY}",)),
            ("in a cookie", (f"Cookie: Authorization=Bearer {KEY}",)),
        )
    ),
    Attack("key: in the query", request(f"{MODELS}?key={KEY}&api_key={KEY}", key=None), 401),
    # Before the body is looked at.
    Attack(
        "key: none, with a bad body", request(POST, JSON, LENGTH, body=b"?" * 30, key=None), 401
    ),
)

# The body is one field of JSON, so nothing of it can become a header.
ECHOES = (
    Attack(
        "line breaks that are repeated",
        json_post(json_of({"user": '"a\\r\\nInjected: yes"', "Injected: yes\r\n": "1"})),
        200,
    ),
)

ATTACKS = (*FRAMING, *HEADERS, *PATHS, *METHODS, *KEYS, *ECHOES)
