"""Files that say where they come from: metadata in each, a signed manifest if one is configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from serve_app.imaging.codecs import encode

if TYPE_CHECKING:
    import numpy as np

    from serve_app.config import ProvenanceConfig
    from serve_app.imaging.content_credentials import ContentCredentials
    from serve_app.imaging.metadata import Origin
    from serve_app.messages import OutputFormat


@dataclass(frozen=True, slots=True)
class Provenance:
    """Writes pictures to files; made once per process, shared by its threads.

    Attributes:
        is_enabled: Whether a file says anything about its origin.
        credentials: What signs a file, if anything.
    """

    is_enabled: bool
    credentials: ContentCredentials | None

    @classmethod
    def open(cls, config: ProvenanceConfig) -> Self:
        """Return the provenance of a configuration.

        Raises:
            ConfigError: Its certificate or key cannot be read, or cannot sign.
        """
        if not config.enabled or config.certificate_file is None:
            return cls(config.enabled, None)
        # A library of 50 MB, which a server without a certificate need not load.
        from serve_app.imaging.content_credentials import ContentCredentials

        return cls(config.enabled, ContentCredentials.open(config))

    def file_of(
        self, picture: np.ndarray, output_format: OutputFormat, quality: int, origin: Origin
    ) -> bytes:
        """Return the file of a picture, marked with its origin.

        Without a signature, equal arguments give equal bytes; a signature is never the same twice.

        Args:
            picture: (height, width, 3) uint8, RGB.
            output_format: Of the file.
            quality: 0 to 100, 100 is best; see `encode`.
            origin: Of the picture.

        Raises:
            StageFailedError: The file could not be signed; it is not given out unsigned.
        """
        if not self.is_enabled:
            return encode(picture, output_format, quality)
        content = encode(picture, output_format, quality, origin)
        if self.credentials is None:
            return content
        return self.credentials.sign(content, output_format, origin)
