"""The transformer's forward for pictures of any sizes, steps, guidances and prompt lengths at once.

Stock blocks read one timestep and one set of positions per row of a padded batch. Here all tokens
stand in one row (`layout.py`): linear layers see them together, attention sees each picture alone,
and modulation is computed once per picture and handed to its tokens. The weights and every layer
are the stock model's own; only the two blocks' bodies are written anew
(diffusers' `FluxTransformerBlock` and `FluxSingleTransformerBlock`).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from serve_app.engine.adapters import AdaptedLayers, PictureAdapters
from serve_app.engine.attention import attention_per_picture
from serve_app.engine.layout import Layout, Places

Rotary = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class PackedInputs:
    """What the transformer reads of several pictures.

    Attributes:
        latents: Of each picture, (image_seq_len, 4 * num_latent_channels).
        prompt_embeds: Of each, (its max_sequence_length, joint_attention_dim).
        pooled_prompt_embeds: (pictures, pooled_projection_dim).
        timesteps: (pictures,) float32, 0 to 1000.
        guidance_scales: (pictures,) float32.
        latent_image_ids: Of each, (image_seq_len, 3).
        adapters: The LoRAs of each; nothing at all where no picture has one.
    """

    latents: Sequence[torch.Tensor]
    prompt_embeds: Sequence[torch.Tensor]
    pooled_prompt_embeds: torch.Tensor
    timesteps: torch.Tensor
    guidance_scales: torch.Tensor
    latent_image_ids: Sequence[torch.Tensor]
    adapters: Sequence[PictureAdapters] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """A packed batch between two blocks.

    Attributes:
        image: (1, image tokens, inner_dim).
        text: (1, text tokens, inner_dim).
        temb: Of timestep, guidance and pooled prompt, (pictures, inner_dim).
        rotary: Cosines and sines of every token's place in joint order, each (tokens, head_dim).
        layout: Whose token is whose.
        adapters: The LoRAs of each picture.
    """

    image: torch.Tensor
    text: torch.Tensor
    temb: torch.Tensor
    rotary: Rotary
    layout: Layout
    adapters: tuple[PictureAdapters, ...]

    def without(self, dropped: frozenset[int]) -> "Hidden":
        """Return the pictures that are left when some are dropped."""
        if not dropped:
            return self
        layout = self.layout
        is_kept = torch.tensor(
            [index not in dropped for index in range(len(self.temb))], device=self.temb.device
        )
        joint = is_kept[layout.joint_owner]
        return Hidden(
            image=self.image[:, is_kept[layout.image_owner]],
            text=self.text[:, is_kept[layout.text_owner]],
            temb=self.temb[is_kept],
            rotary=(self.rotary[0][joint], self.rotary[1][joint]),
            layout=layout.without(dropped),
            adapters=tuple(
                adapters for index, adapters in enumerate(self.adapters) if index not in dropped
            ),
        )


@dataclass(frozen=True, slots=True)
class Blocks:
    """The arithmetic of both kinds of block: `double_block` and `single_block`, or compiled."""

    double: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    single: Callable[..., torch.Tensor]


class PackedTransformer:
    """The four parts of a forward, over the layers of a stock model."""

    def __init__(self, transformer: FluxTransformer2DModel, blocks: Blocks | None = None) -> None:
        self._model: Any = transformer
        self._adapted_layers = AdaptedLayers(transformer)
        self._blocks = blocks or Blocks(double_block, single_block)

    def embed(self, inputs: PackedInputs) -> Hidden:
        """Return what the first block reads."""
        model = self._model
        latents = torch.cat(list(inputs.latents))[None]
        prompt_embeds = torch.cat(list(inputs.prompt_embeds))[None]
        layout = Layout.of(
            [len(embeds) for embeds in inputs.prompt_embeds],
            [len(latents) for latents in inputs.latents],
            latents.device,
        )
        image_ids = torch.cat(list(inputs.latent_image_ids))
        text_ids = image_ids.new_zeros(layout.num_text_tokens, 3)
        ids = torch.cat([text_ids, image_ids])[layout.to_joint]
        adapters = tuple(inputs.adapters) or ((),) * len(inputs.latents)
        with self._adapted_layers.applied(layout, adapters):
            return Hidden(
                image=model.x_embedder(latents),
                text=model.context_embedder(prompt_embeds),
                temb=self._temb(inputs, latents.dtype),
                rotary=model.pos_embed(ids),
                layout=layout,
                adapters=adapters,
            )

    def first_block(self, hidden: Hidden) -> Hidden:
        """Return the batch after the first of all blocks, whose change tells of the others'."""
        with self._adapted(hidden):
            return self._double(self._model.transformer_blocks[0], hidden)

    def other_blocks(self, hidden: Hidden) -> torch.Tensor:
        """Return the image tokens after all other blocks, (1, image tokens, inner_dim)."""
        layout, places = hidden.layout, hidden.layout.places
        with self._adapted(hidden):
            for block in self._model.transformer_blocks[1:]:
                hidden = self._double(block, hidden)
            joint = torch.cat([hidden.text, hidden.image], dim=1)[:, layout.to_joint]
            for block in self._model.single_transformer_blocks:
                joint = self._blocks.single(block, joint, hidden.temb, hidden.rotary, places)
        return joint[:, layout.from_joint][:, layout.num_text_tokens :]

    def head(self, image: torch.Tensor, hidden: Hidden) -> list[torch.Tensor]:
        """Return each picture's `noise_pred`, of the shape of its latents.

        Args:
            image: After the last block, (1, image tokens, inner_dim).
            hidden: Of the same pictures, at any block.
        """
        norm, owner = self._model.norm_out, hidden.layout.image_owner
        with self._adapted(hidden):
            scale, shift = norm.linear(norm.silu(hidden.temb).to(image.dtype)).chunk(2, dim=1)
            image = norm.norm(image) * (1 + scale[owner][None]) + shift[owner][None]
            noise_pred: torch.Tensor = self._model.proj_out(image)[0]
        return list(noise_pred.split(hidden.layout.image_lengths))

    def _adapted(self, hidden: Hidden) -> AbstractContextManager[None]:
        return self._adapted_layers.applied(hidden.layout, hidden.adapters)

    def _double(self, block: Any, hidden: Hidden) -> Hidden:
        image, text = self._blocks.double(
            block, hidden.image, hidden.text, hidden.temb, hidden.rotary, hidden.layout.places
        )
        return replace(hidden, image=image, text=text)

    def _temb(self, inputs: PackedInputs, dtype: torch.dtype) -> torch.Tensor:
        # Rounded, divided and multiplied again: FluxPipeline and the model do so between them.
        timesteps = (inputs.timesteps.to(dtype) / 1000).to(dtype) * 1000
        embed, pooled = self._model.time_text_embed, inputs.pooled_prompt_embeds
        if not self._model.config["guidance_embeds"]:
            temb: torch.Tensor = embed(timesteps, pooled)
        else:
            temb = embed(timesteps, inputs.guidance_scales.to(dtype) * 1000, pooled)
        return temb


def double_block(
    block: Any,
    image: torch.Tensor,
    text: torch.Tensor,
    temb: torch.Tensor,
    rotary: Rotary,
    places: Places,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return image and text after one of the blocks in which each has its own weights."""
    mod = _modulation(block.norm1, temb, places.image_owner, 6)
    text_mod = _modulation(block.norm1_context, temb, places.text_owner, 6)
    attended, text_attended = _joint_attention(
        block.attn,
        block.norm1.norm(image) * (1 + mod[1]) + mod[0],
        block.norm1_context.norm(text) * (1 + text_mod[1]) + text_mod[0],
        rotary,
        places,
    )
    image = image + mod[2] * attended
    image = image + mod[5] * block.ff(block.norm2(image) * (1 + mod[4]) + mod[3])
    text = text + text_mod[2] * text_attended
    normed = block.norm2_context(text) * (1 + text_mod[4]) + text_mod[3]
    text = text + text_mod[5] * block.ff_context(normed)
    return image, text


def single_block(
    block: Any, joint: torch.Tensor, temb: torch.Tensor, rotary: Rotary, places: Places
) -> torch.Tensor:
    """Return all tokens, in joint order, after one of the blocks in which they share weights."""
    shift, scale, gate = _modulation(block.norm, temb, places.joint_owner, 3)
    normed = block.norm.norm(joint) * (1 + scale) + shift
    mlp = block.act_mlp(block.proj_mlp(normed))
    attn = block.attn
    attended = _attend(
        _heads(attn, attn.to_q(normed), attn.norm_q),
        _heads(attn, attn.to_k(normed), attn.norm_k),
        _heads(attn, attn.to_v(normed)),
        rotary,
        places,
    )
    change: torch.Tensor = gate * block.proj_out(torch.cat([attended, mlp], dim=2))
    return joint + change


def _joint_attention(
    attn: Any, image: torch.Tensor, text: torch.Tensor, rotary: Rotary, places: Places
) -> tuple[torch.Tensor, torch.Tensor]:
    def joint(text_part: torch.Tensor, image_part: torch.Tensor) -> torch.Tensor:
        return torch.cat([text_part, image_part], dim=1)[:, places.to_joint]

    query = joint(
        _heads(attn, attn.add_q_proj(text), attn.norm_added_q),
        _heads(attn, attn.to_q(image), attn.norm_q),
    )
    key = joint(
        _heads(attn, attn.add_k_proj(text), attn.norm_added_k),
        _heads(attn, attn.to_k(image), attn.norm_k),
    )
    value = joint(_heads(attn, attn.add_v_proj(text)), _heads(attn, attn.to_v(image)))
    attended = _attend(query, key, value, rotary, places)[:, places.from_joint]
    text_attended, image_attended = attended.tensor_split([text.shape[1]], dim=1)
    return attn.to_out[0](image_attended.contiguous()), attn.to_add_out(text_attended.contiguous())


def _heads(attn: Any, projected: torch.Tensor, norm: Any = None) -> torch.Tensor:
    """Return (1, tokens, inner_dim) as (1, tokens, heads, head_dim)."""
    heads: torch.Tensor = projected.unflatten(-1, (-1, attn.head_dim))
    return heads if norm is None else norm(heads)


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rotary: Rotary, places: Places
) -> torch.Tensor:
    query = apply_rotary_emb(query, rotary, sequence_dim=1)
    key = apply_rotary_emb(key, rotary, sequence_dim=1)
    attended = attention_per_picture(query, key, value, places.joint_lengths)
    return attended.flatten(2, 3)


def _modulation(
    norm: Any, temb: torch.Tensor, owner: torch.Tensor, num_parts: int
) -> list[torch.Tensor]:
    """Return a block's shifts, scales and gates for each token: computed once per picture."""
    parts = norm.linear(norm.silu(temb)).chunk(num_parts, dim=1)
    return [part[owner][None] for part in parts]
