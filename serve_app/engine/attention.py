"""Attention in which each picture of a packed batch sees itself and its prompt only."""

import torch
from torch.nn.functional import scaled_dot_product_attention


def attention_per_picture(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Return attention over each picture's own tokens.

    One stock call per picture: no mask, so every fast kernel may take it, and the same bits as for
    the picture alone. An operator of its own to the compiler, which would else make a graph for
    every list of lengths.

    Args:
        query: In joint order, (1, tokens, heads, head_dim).
        key: The same shape.
        value: The same shape.
        lengths: Tokens of each picture with its prompt, on the CPU, (pictures,).

    Returns:
        The same shape.
    """
    attended: torch.Tensor = _attention_per_picture(query, key, value, lengths)
    return attended


@torch.library.custom_op("krea_serve::attention_per_picture", mutates_args=())
def _attention_per_picture(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    sizes = lengths.tolist()
    parts = zip(*(whole.split(sizes, dim=1) for whole in (query, key, value)), strict=True)
    attended = [
        scaled_dot_product_attention(*(part.transpose(1, 2) for part in picture)).transpose(1, 2)
        for picture in parts
    ]
    return torch.cat(attended, dim=1)


@_attention_per_picture.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    return torch.empty_like(query)
