"""The VAE: pictures from latents, and latents from pictures."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from serve_app.diffusion.latents import (
    LatentShape,
    cpu_generator,
    draw_noise,
    pack_latents,
    unpack_latents,
)
from serve_app.errors import StageFailedError
from serve_app.messages import EncodedImage, Latents, Pixels, Size
from serve_app.stages.latent_colors import LatentColors
from serve_app.stages.weights import load_model


@dataclass(frozen=True, slots=True)
class VaeStage:
    """Both halves of the VAE.

    Attributes:
        vae: The model.
        latent_colors: Makes previews in the decoder's place; None: the decoder makes them too.
    """

    vae: AutoencoderKL
    latent_colors: LatentColors | None = None

    @classmethod
    def load(cls, directory: Path, dtype: torch.dtype, device: torch.device) -> "VaeStage":
        """Return the stage of a diffusers directory.

        Raises:
            WeightsError: It is missing or broken.
        """
        return cls(load_model(AutoencoderKL, directory, "vae", dtype, device))

    @torch.no_grad()
    def with_linear_previews(self) -> "VaeStage":
        """Return the same stage, whose previews are a linear map of the latents.

        The map is fitted here: a few small pictures are encoded.
        """
        return replace(
            self, latent_colors=LatentColors.of(self._image_latents, self._vae_scale_factor)
        )

    @torch.no_grad()
    def decode(self, latents: Latents) -> Pixels:
        """Return the picture, as diffusers' pipelines hand it to Pillow; or its preview.

        Raises:
            InvalidRequestError: The canvas does not fit the model.
            StageFailedError: The picture has values that are not finite.
        """
        unpacked = unpack_latents(latents.latents, self._latent_shape(latents.canvas))
        if latents.is_preview and self.latent_colors is not None:
            image = self.latent_colors.picture(unpacked, latents.canvas)
        else:
            image = self._decoded(unpacked.to(device=self.vae.device, dtype=self.vae.dtype))
        return Pixels(_to_uint8(image[0]), latents.facts, latents.is_preview)

    @torch.no_grad()
    def encode(self, image: np.ndarray, seed: int) -> EncodedImage:
        """Return a picture's latents and the noise of its denoising, both drawn from `seed`.

        The VAE gives a distribution. Its sample takes the first draw of the seed's generator and
        the noise the next, so both are drawn here, where the generator is.

        Args:
            image: (height, width, 3) uint8 RGB; its size is the canvas.
            seed: Of the picture that is to be made.

        Raises:
            InvalidRequestError: The picture's size does not fit the model.
        """
        height, width, _ = image.shape
        shape = self._latent_shape(Size(width, height))
        generator = cpu_generator(seed)
        distribution = self.vae.encode(self._normalized(image)).latent_dist
        image_latents = self._scaled(distribution.sample(generator))
        noise = draw_noise(shape, generator, self.vae.dtype)
        return EncodedImage(pack_latents(image_latents).cpu(), pack_latents(noise))

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        config = self.vae.config
        scaled = (latents / config["scaling_factor"]) + config["shift_factor"]
        image: torch.Tensor = self.vae.decode(scaled, return_dict=False)[0]
        return image

    def _image_latents(self, images: torch.Tensor) -> torch.Tensor:
        """Return the likeliest latents of pictures from -1 to 1, unpacked."""
        given = images.to(device=self.vae.device, dtype=self.vae.dtype)
        return self._scaled(self.vae.encode(given).latent_dist.mode())

    def _scaled(self, latents: torch.Tensor) -> torch.Tensor:
        config = self.vae.config
        scaled: torch.Tensor = (latents - config["shift_factor"]) * config["scaling_factor"]
        return scaled

    def _normalized(self, image: np.ndarray) -> torch.Tensor:
        levels = torch.from_numpy(np.ascontiguousarray(image, np.float32) / 255.0)
        # The batch axis first: strides choose the convolution's kernel, and with it the last bits.
        normalized = 2.0 * levels[None].permute(0, 3, 1, 2) - 1.0
        return normalized.to(device=self.vae.device, dtype=self.vae.dtype)

    @property
    def _vae_scale_factor(self) -> int:
        # Every level but the first halves the picture.
        return int(2 ** (len(self.vae.config["block_out_channels"]) - 1))

    def _latent_shape(self, canvas: Size) -> LatentShape:
        return LatentShape.of(canvas, self._vae_scale_factor, self.vae.config["latent_channels"])


def _to_uint8(image: torch.Tensor) -> np.ndarray:
    # Shifted and clamped in the VAE's dtype, scaled and rounded in float32: as diffusers.
    levels = (image * 0.5 + 0.5).clamp(0, 1).cpu().permute(1, 2, 0).float().numpy()
    if not np.isfinite(levels).all():
        raise StageFailedError("vae")
    return (levels * 255).round().astype(np.uint8)
