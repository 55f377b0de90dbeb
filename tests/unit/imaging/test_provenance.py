"""Every file says where it comes from, in a way that others' readers find."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import ExifTags, Image

from serve_app.config import ProvenanceConfig
from serve_app.errors import ConfigError
from serve_app.imaging.codecs import encode
from serve_app.imaging.metadata import Origin
from serve_app.imaging.provenance import Provenance
from serve_app.messages import OutputFormat
from tests.unit.imaging.certificates import authority
from tests.unit.imaging.samples import opened, photograph, pixels_of

FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
WITH_XMP: list[OutputFormat] = ["png", "jpeg", "webp", "avif"]

ORIGIN = Origin("flux.1-krea-dev", 42)
PICTURE = photograph(90, 70)
PLAIN = Provenance.open(ProvenanceConfig())


def software(image: Image.Image) -> object:
    """Return what the field of that name says, wherever the format keeps it."""
    if image.format == "GIF":
        return image.info["comment"].decode()
    if image.format == "PNG":
        return image.info["Software"]
    return image.getexif()[ExifTags.Base.Software]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Provenance:
    own = authority()
    return Provenance.open(own.config(tmp_path_factory.mktemp("signer"), own.signer()))


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_file_says_that_a_model_made_it(output_format: OutputFormat) -> None:
    image = opened(PLAIN.file_of(PICTURE, output_format, 90, ORIGIN))
    assert software(image) == ORIGIN.line


@pytest.mark.parametrize("output_format", WITH_XMP)
def test_its_xmp_is_where_readers_look(output_format: OutputFormat) -> None:
    image = opened(PLAIN.file_of(PICTURE, output_format, 90, ORIGIN))
    assert image.info["xmp"] == ORIGIN.xmp.encode()


@pytest.mark.parametrize("output_format", FORMATS)
def test_no_pixel_changes_and_few_bytes_come_on_top(output_format: OutputFormat) -> None:
    bare = encode(PICTURE, output_format, 90)
    marked = PLAIN.file_of(PICTURE, output_format, 90, ORIGIN)
    assert np.array_equal(pixels_of(marked), pixels_of(bare))
    assert 0 < len(marked) - len(bare) < 1000


@pytest.mark.parametrize("output_format", FORMATS)
def test_switched_off_a_file_says_nothing(output_format: OutputFormat) -> None:
    silent = Provenance.open(ProvenanceConfig(enabled=False))
    content = silent.file_of(PICTURE, output_format, 90, ORIGIN)
    assert content == encode(PICTURE, output_format, 90)
    assert ORIGIN.model.encode() not in content


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_signed_file_keeps_its_metadata(signing: Provenance, output_format: OutputFormat) -> None:
    content = signing.file_of(PICTURE, output_format, 90, ORIGIN)
    assert b"c2pa.actions" in content
    assert software(opened(content)) == ORIGIN.line
    if output_format in WITH_XMP:
        assert opened(content).info["xmp"] == ORIGIN.xmp.encode()


def test_without_a_certificate_nothing_is_signed() -> None:
    assert b"c2pa" not in PLAIN.file_of(PICTURE, "png", 100, ORIGIN)


def test_a_certificate_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    config = ProvenanceConfig(certificate_file=nothing, private_key_file=nothing)
    with pytest.raises(ConfigError, match=r"nothing\.pem"):
        Provenance.open(config)


def test_switched_off_no_certificate_is_read(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    config = ProvenanceConfig(enabled=False, certificate_file=nothing, private_key_file=nothing)
    assert Provenance.open(config).credentials is None


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({"certificate_file": "chain.pem"}, "private_key_file"),
        ({"private_key_file": "key.pem"}, "certificate_file"),
        ({"timestamp_url": "http://time.example"}, "certificate_file"),
        ({"timestamp_url": "ftp://time.example"}, "timestamp_url"),
    ],
)
def test_half_a_configuration_is_refused(args: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        ProvenanceConfig.model_validate(args)
