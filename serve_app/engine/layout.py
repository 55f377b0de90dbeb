"""Which token of a packed batch belongs to which picture.

A packed batch is one row of tokens: all prompts' tokens one after the other, all pictures' tokens
one after the other, nothing padded. Where text and picture attend to each other they stand in
joint order: each picture's prompt, then the picture itself, picture by picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch


@dataclass(frozen=True, slots=True)
class Places:
    """The tensors of a layout, without its numbers: a compiled graph holds for all of these.

    Attributes as those of `Layout`.
    """

    text_owner: torch.Tensor
    image_owner: torch.Tensor
    joint_owner: torch.Tensor
    to_joint: torch.Tensor
    from_joint: torch.Tensor
    joint_lengths: torch.Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """Lengths and index tensors of one packed batch.

    Attributes:
        text_lengths: Tokens of each prompt.
        image_lengths: Tokens of each picture.
        text_owner: Whose prompt a text token is of, (text tokens,).
        image_owner: Whose picture an image token is of, (image tokens,).
        joint_owner: The same in joint order, (all tokens,).
        to_joint: Brings `cat([text, image])` into joint order, (all tokens,).
        from_joint: Undoes that, (all tokens,).
        joint_lengths: Tokens of each prompt and picture together, on the CPU, (pictures,).
    """

    text_lengths: tuple[int, ...]
    image_lengths: tuple[int, ...]
    text_owner: torch.Tensor
    image_owner: torch.Tensor
    joint_owner: torch.Tensor
    to_joint: torch.Tensor
    from_joint: torch.Tensor
    joint_lengths: torch.Tensor

    @classmethod
    def of(
        cls, text_lengths: Sequence[int], image_lengths: Sequence[int], device: torch.device
    ) -> Self:
        """Return the layout of as many pictures as there are lengths."""
        texts, images = torch.tensor(text_lengths), torch.tensor(image_lengths)
        text_owner = torch.arange(len(texts)).repeat_interleave(texts)
        image_owner = torch.arange(len(images)).repeat_interleave(images)
        # Stable, and text stands first: so each picture's prompt comes before the picture.
        joint_owner, to_joint = torch.cat([text_owner, image_owner]).sort(stable=True)
        return cls(
            tuple(text_lengths),
            tuple(image_lengths),
            text_owner.to(device),
            image_owner.to(device),
            joint_owner.to(device),
            to_joint.to(device),
            to_joint.argsort().to(device),
            texts + images,
        )

    @property
    def num_text_tokens(self) -> int:
        """Of all prompts."""
        return sum(self.text_lengths)

    @property
    def places(self) -> Places:
        """What the blocks read of it."""
        return Places(
            self.text_owner,
            self.image_owner,
            self.joint_owner,
            self.to_joint,
            self.from_joint,
            self.joint_lengths,
        )

    def without(self, dropped: frozenset[int]) -> Self:
        """Return the layout of the pictures that are left when some are dropped."""
        kept = [index for index in range(len(self.text_lengths)) if index not in dropped]
        return self.of(
            [self.text_lengths[index] for index in kept],
            [self.image_lengths[index] for index in kept],
            self.text_owner.device,
        )
