"""The autoencoder: 32 pixels per latent, and a start that already carries colours through.

A plain random start spends most of a short training on learning to pass a flat colour on. Here
the network begins as a linear blur: channels 0-2 carry +RGB and 3-5 carry -RGB (for SiLU,
silu(x) - silu(-x) = x, so the pair passes the nonlinearity unharmed), channels 6 and 7 carry
constants that keep the group norm's statistics steady, and all else starts small. One norm
group, because more of them divide absolute colour away.
"""

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

LATENT_CHANNELS = 32
CHANNELS = (8, 16, 32, 64, 96, 128)
PIXELS_PER_LATENT = 2 ** (len(CHANNELS) - 1)
CARRIED = 8  # channels of the linear path


def build_autoencoder() -> AutoencoderKL:
    """Return the autoencoder with its linear start and no scaling."""
    levels = len(CHANNELS)
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        block_out_channels=list(CHANNELS),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=1,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        force_upcast=False,
        sample_size=256,
        scaling_factor=1.0,
        shift_factor=0.0,  # the class's own default, None, breaks FluxPipeline
    )
    with torch.no_grad():
        _start_linear(model)
    return model


def _start_linear(model: AutoencoderKL) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith("conv2.weight"):
            parameter.mul_(0.1)
        if name.endswith("bias") and "norm" not in name:
            parameter.zero_()
    for name, module in model.named_modules():
        if name.endswith("conv_shortcut"):
            module.weight.copy_(_shortcut(*module.weight.shape[:2]))
    _start_encoder(model.encoder)
    _start_decoder(model.decoder)


def _start_encoder(encoder: Any) -> None:
    stem = torch.randn_like(encoder.conv_in.weight) * 0.1
    stem[:CARRIED] = 0
    for color in range(3):
        stem[color, color, 1, 1] = 1
        stem[color + 3, color, 1, 1] = -1
    encoder.conv_in.weight.copy_(stem)
    _carry_constants(encoder.conv_in.bias)
    for block in encoder.down_blocks:
        if block.downsamplers is not None:
            conv = block.downsamplers[0].conv
            conv.weight.copy_(_box_filter(conv.weight))
    head = encoder.conv_out
    head.weight.mul_(0.5)
    head.weight[:3] = 0
    head.weight[LATENT_CHANNELS:] = 0
    head.bias[LATENT_CHANNELS:] = -4.0
    for color in range(3):
        head.weight[color, color, 1, 1] = 1
        head.weight[color, color + 3, 1, 1] = -1


def _start_decoder(decoder: Any) -> None:
    stem = decoder.conv_in
    stem.weight.mul_(0.5)
    stem.weight[:CARRIED] = 0
    for color in range(3):
        stem.weight[color, color, 1, 1] = 1
        stem.weight[color + 3, color, 1, 1] = -1
    _carry_constants(stem.bias)
    for block in decoder.up_blocks:
        if block.upsamplers is not None:
            conv = block.upsamplers[0].conv
            conv.weight.copy_(_bilinear_filter(conv.weight))
    decoder.conv_out.weight.mul_(0.1)
    decoder.conv_out.weight[:, :CARRIED] = 0
    for color in range(3):
        decoder.conv_out.weight[color, color, 1, 1] = 0.8
        decoder.conv_out.weight[color, color + 3, 1, 1] = -0.8


def _carry_constants(bias: Tensor) -> None:
    bias[6], bias[7] = 2.0, -2.0


def _shortcut(outputs: int, inputs: int) -> Tensor:
    weight = torch.zeros(outputs, inputs, 1, 1)
    for output in range(outputs):
        if output < inputs:
            weight[output, output] = 1
        elif inputs > CARRIED:
            weight[output, CARRIED:] = torch.randn(inputs - CARRIED, 1, 1) / inputs**0.5
        else:
            weight[output] = torch.randn(inputs, 1, 1) * 0.2
    return weight


def _box_filter(like: Tensor) -> Tensor:
    weight = torch.randn_like(like) * 0.02
    weight[:CARRIED] = 0
    outputs, inputs = like.shape[:2]
    for output in range(outputs):
        if output < CARRIED:
            weight[output, output, :2, :2] = 0.25
        elif output < outputs // 2:
            weight[output, output] += 1 / 9
        else:
            source = int(torch.randint(inputs, ()).item())
            weight[output, source] += torch.randn(3, 3) * 0.4
    return weight


def _bilinear_filter(like: Tensor) -> Tensor:
    ramp = torch.tensor([0.25, 0.5, 0.25])
    smooth = ramp[:, None] * ramp[None, :]
    sharp = torch.zeros(3, 3)
    sharp[1, 1] = 1
    weight = torch.randn_like(like) * 0.02
    weight[:CARRIED] = 0
    for output in range(like.shape[0]):
        weight[output, output] += smooth if output < CARRIED or output % 2 else sharp
    return weight


def rescale_latents(model: AutoencoderKL, latents: Tensor) -> None:
    """Fold a scale per latent channel into the weights, so that each has a deviation of about 1.

    The pictures do not change. Only scales: a shift would not be exact at the border, where the
    decoder's first convolution pads with zeros.

    Args:
        model: Autoencoder to change.
        latents: Means of the encoder's output, shape (pictures, channels, height, width).
    """
    deviations = latents.transpose(0, 1).flatten(1).std(dim=1)
    # A channel that carries next to nothing must not be blown up into noise to be learnt.
    deviations = deviations.clamp(min=0.3 * float(deviations.median()))
    columns = deviations[:, None, None, None]
    with torch.no_grad():
        head, stem = model.encoder.conv_out, model.decoder.conv_in
        head.weight[:LATENT_CHANNELS] /= columns
        head.bias[:LATENT_CHANNELS] /= deviations
        head.bias[LATENT_CHANNELS:] -= 2 * deviations.log()
        stem.weight *= columns.transpose(0, 1)
