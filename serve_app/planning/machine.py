"""What steps and stages take on a kind of GPU: assumptions, each with where it comes from.

A step's seconds are the cost model's line over the operations that FLUX.1 takes; how fast a GPU
gets through them is what others measured of one picture of 1024x1024 in 28 steps.
"""

from dataclasses import dataclass

from serve_app.engine.cost_model import CostModel, FluxGeometry
from serve_app.messages import Size

FLUX_1 = FluxGeometry(
    inner_dim=3072,
    num_layers=19,
    num_single_layers=38,
    in_channels=64,
    joint_attention_dim=4096,
    pooled_projection_dim=768,
    guidance_embeds=True,
)
TEXT_TOKENS = 512
PX_PER_TOKEN_SIDE = 16
REFERENCE_PX = 1024 * 1024
REFERENCE_STEPS = 28
STEP_OVERHEAD_S = 0.0005


def image_tokens(canvas: Size) -> int:
    """Return the packed latents of a picture."""
    return canvas.width * canvas.height // PX_PER_TOKEN_SIDE**2


def step_flops(canvas: Size) -> float:
    """Return the operations of one step of a picture."""
    return FLUX_1.step_flops(image_tokens(canvas), TEXT_TOKENS)


@dataclass(frozen=True, slots=True)
class Machine:
    """One kind of GPU and the CPUs beside it.

    Attributes:
        name: As it is asked for.
        reference_s: Of denoising one picture of 1024x1024 in 28 steps.
        encode_s: Of a prompt.
        decode_s: Of a picture of 1024x1024; others in proportion to their pixels.
        write_s: Of the same picture's PNG, on one core.
        start_s: From the decision to the first picture of a new denoiser.
        usd_per_hour: Of the whole GPU.
        source: Where these come from.
    """

    name: str
    reference_s: float
    encode_s: float
    decode_s: float
    write_s: float
    start_s: float
    usd_per_hour: float
    source: str

    def cost_model(self) -> CostModel:
        """Return what predicts the seconds of this GPU's steps."""
        flops = REFERENCE_STEPS * step_flops(Size(1024, 1024))
        s_per_flop = (self.reference_s - REFERENCE_STEPS * STEP_OVERHEAD_S) / flops
        return CostModel(s_per_flop, STEP_OVERHEAD_S)

    def decoded_s(self, canvas: Size) -> float:
        """Return the seconds of decoding a picture."""
        return self.decode_s * canvas.width * canvas.height / REFERENCE_PX

    def written_s(self, canvas: Size) -> float:
        """Return the seconds of one core for a picture's file."""
        return self.write_s * canvas.width * canvas.height / REFERENCE_PX


MACHINES = {
    machine.name: machine
    for machine in (
        Machine(
            name="h200",
            reference_s=4.32,
            encode_s=0.0305,
            decode_s=0.0276,
            write_s=0.034,
            start_s=60.0,
            usd_per_hour=3.50,
            source="denoising: diffusers with torch.compile, sgl-project/sglang#19673; text"
            " encoders and VAE: sgl-project/sglang#22365; PNG: ours; start and price: assumed",
        ),
        Machine(
            name="h100",
            reference_s=4.21,
            encode_s=0.0305,
            decode_s=0.0276,
            write_s=0.034,
            start_s=60.0,
            usd_per_hour=2.50,
            source="denoising: diffusers with torch.compile, sayakpaul/diffusers-torchao; text"
            " encoders and VAE: sgl-project/sglang#22365; PNG: ours; start and price: assumed",
        ),
    )
}
