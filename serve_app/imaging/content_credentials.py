"""C2PA manifests: a signed statement inside a file that a model made it, bound to its bytes."""

import io
import json
import logging
from pathlib import Path
from typing import Any, Self

import c2pa  # type: ignore[import-untyped]
import numpy as np

from serve_app.config import ProvenanceConfig
from serve_app.errors import ConfigError, StageFailedError
from serve_app.imaging.codecs import encode
from serve_app.imaging.metadata import GENERATOR, Origin
from serve_app.messages import OutputFormat

logger = logging.getLogger(__name__)

ALGORITHM = "es256"


class ContentCredentials:
    """Signs files with the operator's certificate; threads may share it."""

    def __init__(self, context: c2pa.Context) -> None:
        self._context = context

    @classmethod
    def open(cls, config: ProvenanceConfig) -> Self:
        """Return what signs with a configuration's certificate and key.

        Raises:
            ConfigError: They cannot be read, or cannot sign.
        """
        try:
            # A reader would find a key of another certificate; better to find it before serving.
            cls(_context(config, verify=True))._signed(*_probe())
            return cls(_context(config, verify=False))
        except c2pa.C2paError as error:
            raise ConfigError(f"provenance: the certificate cannot sign a file: {error}") from error

    def sign(self, content: bytes, output_format: OutputFormat, origin: Origin) -> bytes:
        """Return a file with its signed manifest; its pixels are the same.

        Raises:
            StageFailedError: It could not be signed; the log says why.
        """
        try:
            return self._signed(content, output_format, origin)
        except c2pa.C2paError as error:
            logger.exception("a file could not be signed")
            raise StageFailedError("provenance") from error

    def _signed(self, content: bytes, output_format: OutputFormat, origin: Origin) -> bytes:
        signed = io.BytesIO()
        with c2pa.Builder(json.dumps(_manifest(origin)), self._context) as builder:
            builder.sign(f"image/{output_format}", io.BytesIO(content), signed)
        return signed.getvalue()


def _context(config: ProvenanceConfig, verify: bool) -> c2pa.Context:
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(
            ALGORITHM,
            _read(config.certificate_file),
            _read(config.private_key_file),
            config.timestamp_url,
        )
    )
    # A thumbnail would cost ten times the rest, and a megabyte.
    settings = {
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"verify_after_sign": verify},
    }
    return c2pa.Context.from_dict(settings, signer=signer)


def _manifest(origin: Origin) -> dict[str, Any]:
    created = {
        "action": "c2pa.created",
        "digitalSourceType": origin.source_type,
        "softwareAgent": {"name": origin.model},
        "parameters": {f"{GENERATOR}.seed": origin.seed},
    }
    return {
        "claim_generator_info": [{"name": GENERATOR}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
    }


def _probe() -> tuple[bytes, OutputFormat, Origin]:
    return encode(np.zeros((1, 1, 3), np.uint8), "png", 100), "png", Origin("probe", 0)


def _read(file: Path | None) -> bytes:
    assert file is not None, "the configuration names both files"
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"provenance: cannot read {file}: {error.strerror}") from error
