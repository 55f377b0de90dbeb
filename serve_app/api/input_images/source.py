"""The picture that a request edits, and its mask, as pixels of the size that is delivered."""

from dataclasses import dataclass

import numpy as np

from serve_app.api.input_images.field import ImageSource
from serve_app.api.input_images.reader import ImageReader
from serve_app.api.input_images.remote import RemoteImages
from serve_app.config import ApiConfig
from serve_app.imaging.fit import cover
from serve_app.messages import InputImage, Size


@dataclass(frozen=True, slots=True)
class SourceImage:
    """A client's picture in its own size.

    Attributes:
        picture: (height, width, 3) uint8, RGB.
        mask: (height, width) uint8, 255 where the picture is painted anew; None paints it all.
    """

    picture: np.ndarray
    mask: np.ndarray | None

    @property
    def size(self) -> Size:
        """Of the picture, in pixels."""
        return _size_of(self.picture)

    def fitted(self, output: Size, strength: float) -> InputImage:
        """Return the picture scaled to cover the delivered size and cut around its centre."""
        mask = None if self.mask is None else cover(self.mask, output)
        return InputImage(cover(self.picture, output), strength, mask)


async def load_source(
    image: ImageSource | None, mask: ImageSource | None, reader: ImageReader
) -> SourceImage | None:
    """Return a client's picture and mask, fetched and decoded; None without a picture.

    Raises:
        InvalidRequestError: It cannot be fetched or is no picture, or the mask does not fit it.
        PayloadTooLargeError: A file is too large.
    """
    if image is None:
        return None
    picture = await reader.image(image)
    if mask is None:
        return SourceImage(picture, None)
    return SourceImage(picture, await reader.mask(mask, _size_of(picture)))


def image_reader(config: ApiConfig) -> ImageReader:
    """Return what turns clients' pictures into pixels, within the limits of a configuration."""
    remote = RemoteImages(config.max_file_bytes)
    return ImageReader(config.max_file_bytes, remote.fetch if config.allow_image_urls else None)


def _size_of(picture: np.ndarray) -> Size:
    return Size(width=picture.shape[1], height=picture.shape[0])
