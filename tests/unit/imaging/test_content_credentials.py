"""Signed manifests, read by C2PA's own reader with an authority of the tests' own."""

import io
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, get_args

import c2pa  # type: ignore[import-untyped]
import numpy as np
import pytest

from serve_app.errors import ConfigError, StageFailedError
from serve_app.imaging.codecs import encode
from serve_app.imaging.content_credentials import ContentCredentials
from serve_app.imaging.metadata import EDITED, GENERATED, Origin
from serve_app.messages import OutputFormat
from tests.unit.imaging.certificates import Authority, authority
from tests.unit.imaging.samples import photograph, pixels_of

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
ORIGIN = Origin("flux.1-krea-dev", 2**63 - 1)
PICTURE = photograph(120, 80)


@pytest.fixture(scope="module")
def trusted() -> Authority:
    return authority()


@pytest.fixture(scope="module")
def credentials(trusted: Authority, tmp_path_factory: pytest.TempPathFactory) -> ContentCredentials:
    folder = tmp_path_factory.mktemp("signer")
    return ContentCredentials.open(trusted.config(folder, trusted.signer()))


def manifest(content: bytes, output_format: OutputFormat, anchor: str) -> tuple[str, Any]:
    """Return what a reader says of a file, and the manifest it finds in it."""
    context = c2pa.Context.from_dict(
        {"trust": {"trust_anchors": anchor}, "verify": {"verify_trust": True}}
    )
    with c2pa.Reader(f"image/{output_format}", io.BytesIO(content), context=context) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


def created(found: Any) -> Any:
    (assertion,) = (each for each in found["assertions"] if each["label"] == "c2pa.actions.v2")
    (action,) = assertion["data"]["actions"]
    return action


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_signed_file_is_trusted_and_cheap(
    credentials: ContentCredentials, trusted: Authority, output_format: OutputFormat
) -> None:
    plain = encode(PICTURE, output_format, 90, ORIGIN)
    signed = credentials.sign(plain, output_format, ORIGIN)
    assert manifest(signed, output_format, trusted.anchor)[0] == "Trusted"
    assert np.array_equal(pixels_of(signed), pixels_of(plain))
    assert 0 < len(signed) - len(plain) < 5000


@pytest.mark.parametrize("output_format", FORMATS)
def test_one_flipped_bit_is_noticed(
    credentials: ContentCredentials, trusted: Authority, output_format: OutputFormat
) -> None:
    plain = encode(PICTURE, output_format, 90)
    signed = bytearray(credentials.sign(plain, output_format, ORIGIN))
    # The middle of the pixels' own bytes, which no manifest moves apart.
    signed[signed.index(plain[-1000:-900])] ^= 1
    assert manifest(bytes(signed), output_format, trusted.anchor)[0] == "Invalid"


def test_the_manifest_says_what_made_the_picture(
    credentials: ContentCredentials, trusted: Authority
) -> None:
    signed = credentials.sign(encode(PICTURE, "png", 100), "png", ORIGIN)
    _, found = manifest(signed, "png", trusted.anchor)
    assert found["claim_generator_info"][0]["name"] == "krea-serve"
    assert "thumbnail" not in found
    assert created(found) == {
        "action": "c2pa.created",
        "digitalSourceType": GENERATED,
        "softwareAgent": {"name": "flux.1-krea-dev"},
        "parameters": {"krea-serve.seed": 2**63 - 1},
    }
    assert found["signature_info"]["alg"] == "Es256"


def test_an_edit_is_a_composite(credentials: ContentCredentials, trusted: Authority) -> None:
    origin = Origin("flux.1-krea-dev", 1, is_edit=True)
    signed = credentials.sign(encode(PICTURE, "jpeg", 90), "jpeg", origin)
    _, found = manifest(signed, "jpeg", trusted.anchor)
    assert created(found)["digitalSourceType"] == EDITED


def test_another_authority_does_not_trust_it(credentials: ContentCredentials) -> None:
    signed = credentials.sign(encode(PICTURE, "png", 100), "png", ORIGIN)
    assert manifest(signed, "png", authority().anchor)[0] == "Valid"


def test_a_file_without_a_manifest_has_none(trusted: Authority) -> None:
    with pytest.raises(c2pa.C2paError.ManifestNotFound):
        manifest(encode(PICTURE, "png", 100, ORIGIN), "png", trusted.anchor)


def test_threads_share_one(credentials: ContentCredentials, trusted: Authority) -> None:
    plain = encode(PICTURE, "jpeg", 90)
    with ThreadPoolExecutor(8) as threads:
        origins = [Origin("flux.1-krea-dev", seed) for seed in range(40)]
        signed = list(threads.map(lambda origin: credentials.sign(plain, "jpeg", origin), origins))
    found = [manifest(content, "jpeg", trusted.anchor) for content in signed]
    assert {state for state, _ in found} == {"Trusted"}
    seeds = [created(each)["parameters"]["krea-serve.seed"] for _, each in found]
    assert seeds == list(range(40))


def test_what_is_no_picture_cannot_be_signed(credentials: ContentCredentials) -> None:
    with pytest.raises(StageFailedError):
        credentials.sign(b"not a picture", "png", ORIGIN)


def test_a_key_of_another_certificate_is_refused(trusted: Authority, tmp_path: Path) -> None:
    config = trusted.config(tmp_path, trusted.signer(), key=trusted.signer().key_pem)
    with pytest.raises(ConfigError, match="certificate cannot sign"):
        ContentCredentials.open(config)


@pytest.mark.parametrize("key", [b"", b"not a key"])
def test_a_broken_key_is_refused(trusted: Authority, tmp_path: Path, key: bytes) -> None:
    with pytest.raises(ConfigError, match="certificate cannot sign"):
        ContentCredentials.open(trusted.config(tmp_path, trusted.signer(), key=key))


def test_an_expired_certificate_is_refused(trusted: Authority, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid at time of signing"):
        ContentCredentials.open(trusted.config(tmp_path, trusted.signer(days=-1)))


def test_a_missing_file_is_named(trusted: Authority, tmp_path: Path) -> None:
    config = trusted.config(tmp_path, trusted.signer())
    (tmp_path / "key.pem").unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*key\.pem: No such file"):
        ContentCredentials.open(config)


def test_a_timestamp_authority_is_asked_if_there_is_one(trusted: Authority, tmp_path: Path) -> None:
    asked: list[str | None] = []

    class NoTimestamps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["Content-Type"])
            self.send_error(503)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), NoTimestamps) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        config = trusted.config(tmp_path, trusted.signer()).model_copy(
            update={"timestamp_url": f"http://127.0.0.1:{server.server_port}/"}
        )
        with pytest.raises(ConfigError, match="certificate cannot sign"):
            ContentCredentials.open(config)
        server.shutdown()
        thread.join()
    assert asked
    assert set(asked) == {"application/timestamp-query"}
