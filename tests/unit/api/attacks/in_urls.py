"""Addresses that a server must not ask, and URLs that are none."""

import base64
import json

from tests.unit.api.attacks.attack import EDITS, Attack, brief, json_of, json_post
from tests.unit.api.image_samples import samples

PRIVATE = (
    "http://127.0.0.1/",
    "http://127.0.0.1:8265/api/jobs/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://0.0.0.0/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://100.64.0.1/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http://①②⑦.0.0.1/",
    "https://127.0.0.1/",
    "http://user:secret@[::1]:80/",
)
NO_URLS = (
    "",
    "hello",
    "/etc/passwd",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.com/a.png",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:11211/",
    "jar:http://127.0.0.1!/a",
    "javascript:alert(1)",
    "blob:http://127.0.0.1/",
    "//127.0.0.1/",
    " http://127.0.0.1/",
    "http:/127.0.0.1/",
    "http://",
    "http:///a.png",
    "http://[",
    "http://[::1",
    "http://]/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:99999999999999999999/",
    "http://127.0.0.1:x/",
    "http://a..b/",
    f"http://{'a' * 64}.test/",
    f"http://{'a.' * 200}test/",
    "http://.../",
    "http://%00/",
    "http://a\0b/",
    "http://a\r\nInjected: yes/",
    "http://127.0.0.1/\r\nInjected: yes",
    "http://a b/",
    "http://*/",
    "http://xn--/",
    "http://xn--a/",
    "http://\u202e/",
    "http://a\u3002b\uff0e\uff11/",
    f"http://127.0.0.1/{'a' * 100_000}",
)
DATA_URIS = (
    "data:",
    "data:,",
    "data:image/png,abc",
    "data:image/png;base64",
    "data:image/png;base64,",
    "data:image/png;base64,====",
    "data:image/png;base64,AA=A",
    "data:image/png;base64,\u00e9\u00e9\u00e9\u00e9",
    "data:image/png;base64,AAAA AAAA",
    "data:image/png;base64,AAAA\nAAAA",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/svg+xml;base64,PHN2Zy8+",
    f"data:image/{'p' * 100_000};base64,AAAA",
    f"data:image/png{';a=b' * 100_000};base64,AAAA",
    f"data:image/png;base64,{'A' * 100_001}",
)


def named(url: str, path: str = EDITS) -> Attack:
    """Return a request for an edit of what is at a URL."""
    return Attack(
        f"url: {brief(url)!r}",
        json_post(json_of({"image": json.dumps(url)}), path),
        400,
        "image",
    )


def written(name: str, text: str, status: int = 400, param: str = "image") -> Attack:
    """Return a request whose images are written out in JSON text."""
    return Attack(f"images: {name}", json_post(json_of({param: text}), EDITS), status, param)


GOOD = json.dumps("data:image/png;base64," + base64.b64encode(samples()["png"]).decode())

SHAPES = (
    written("a number", "7"),
    written("true", "true"),
    written("an object of nothing", "{}"),
    written("a file id", '{"file_id": "file-1"}'),
    written("a list of lists", f"[[{GOOD}]]"),
    written("an object in an object", f'{{"image_url": {{"image_url": {GOOD}}}}}'),
    written("two", f"[{GOOD}, {GOOD}]"),
    written("10 000", f"[{', '.join([json.dumps('http://127.0.0.1/')] * 10_000)}]"),
    written("an empty list", "[]"),
    written("half a surrogate pair in a list", '["http://127.0.0.1/\\ud800"]'),
    written("half a surrogate pair as a host", '["http://\\ud800/"]'),
    written("half a surrogate pair in a data URI", '["data:image/png;base64,\\ud800"]'),
    written("half a surrogate pair alone", '["\\udfff"]'),
    Attack(
        "images: a data URI over its limit",
        lambda: json_post(
            json_of({"image": json.dumps("data:image/png;base64," + "A" * 1_400_000)}), EDITS
        ),
        413,
        "image",
    ),
    Attack(
        "images: a mask at a private address",
        json_post(json_of({"image": GOOD, "mask": '"http://127.0.0.1/"'}), EDITS),
        400,
        "mask",
    ),
)

ATTACKS = (*map(named, (*PRIVATE, *NO_URLS, *DATA_URIS)), *SHAPES)
