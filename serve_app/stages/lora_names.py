"""What the trainers of LoRAs call the transformer's layers.

Files name a layer as diffusers does (`transformer_blocks.0.attn.to_q`) or as the model's authors do
(`double_blocks.0.img_attn.qkv`), with dots or with underscores, after one of several prefixes. Put
without its prefix and with underscores only, every name is known or is another model's.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

PREFIXES = (
    "transformer.",  # diffusers
    "base_model.model.",  # PEFT
    "diffusion_model.",  # ComfyUI
    "lora_unet_",  # kohya
    "lora_transformer_",  # OneTrainer
)
TEXT_ENCODER_PREFIXES = ("text_encoder", "lora_te")

# The authors' names of layers that stand once.
SINGLE_LAYERS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in_in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in_out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in_in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in_out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in_in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in_out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer_linear": "proj_out",
}
# Its output is shift and scale; diffusers' has them the other way round.
SWAPPED_LAYERS = {"final_layer_adaLN_modulation_1": "norm_out.linear"}

# The authors' names within a block; one layer of theirs can be several of diffusers'.
IMAGE_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
TEXT_QKV = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
DOUBLE_BLOCK = {
    "img_mod_lin": ("norm1.linear",),
    "img_attn_qkv": IMAGE_QKV,
    "img_attn_proj": ("attn.to_out.0",),
    "img_mlp_0": ("ff.net.0.proj",),
    "img_mlp_2": ("ff.net.2",),
    "txt_mod_lin": ("norm1_context.linear",),
    "txt_attn_qkv": TEXT_QKV,
    "txt_attn_proj": ("attn.to_add_out",),
    "txt_mlp_0": ("ff_context.net.0.proj",),
    "txt_mlp_2": ("ff_context.net.2",),
    # XLabs'
    "processor_qkv_lora1": IMAGE_QKV,
    "processor_proj_lora1": ("attn.to_out.0",),
    "processor_qkv_lora2": TEXT_QKV,
    "processor_proj_lora2": ("attn.to_add_out",),
}
SINGLE_BLOCK = {
    "modulation_lin": ("norm.linear",),
    "linear1": (*IMAGE_QKV, "proj_mlp"),
    "linear2": ("proj_out",),
    # XLabs'
    "processor_qkv_lora": IMAGE_QKV,
    "processor_proj_lora": ("proj_out",),
}
BLOCKS = (
    ("double_blocks", "transformer_blocks", DOUBLE_BLOCK),
    ("single_blocks", "single_transformer_blocks", SINGLE_BLOCK),
)


@dataclass(frozen=True, slots=True)
class Target:
    """The layers of diffusers' model that are one layer in a file.

    Attributes:
        layers: Whose outputs, one after the other, are the output of the file's layer.
        swaps_halves: Whether the two halves of that output change places.
    """

    layers: tuple[str, ...]
    swaps_halves: bool = False


def without_prefix(name: str) -> str:
    """Return a layer's name in a file without what the trainer's program puts before it."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def known_names(layers: Collection[str]) -> Mapping[str, Target]:
    """Return what each name, without prefix and with underscores only, stands for.

    Args:
        layers: diffusers' names of the model's Linears.
    """
    own = {layer.replace(".", "_"): Target((layer,)) for layer in layers}
    theirs = {
        name: target for name, target in _authors_names(layers) if set(target.layers) <= set(layers)
    }
    return own | theirs


def _authors_names(layers: Collection[str]) -> Iterator[tuple[str, Target]]:
    for name, layer in SINGLE_LAYERS.items():
        yield name, Target((layer,))
    for name, layer in SWAPPED_LAYERS.items():
        yield name, Target((layer,), swaps_halves=True)
    for theirs, ours, block in BLOCKS:
        for index in sorted(
            {layer.split(".")[1] for layer in layers if layer.startswith(f"{ours}.")}
        ):
            for name, parts in block.items():
                target = Target(tuple(f"{ours}.{index}.{part}" for part in parts))
                yield f"{theirs}_{index}_{name}", target
