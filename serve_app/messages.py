"""What travels between replicas: frozen dataclasses, one for every arrow of the DAG.

Tensors and arrays are on the CPU: a consumer without a GPU must be able to open them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

from serve_app.spent import NO_TIME, Spent

if TYPE_CHECKING:
    import numpy as np
    import torch

OutputFormat = Literal["png", "jpeg", "webp", "avif", "gif"]
Delivery = Literal["url", "b64_json"]
Acceleration = Literal["none", "regular", "high"]

NUM_SEEDS = 2**63


class Priority(IntEnum):
    """The class of a request: a lower one runs only where no higher one waits."""

    INTERACTIVE = 0
    STANDARD = 1
    BATCH = 2


@dataclass(frozen=True, slots=True)
class Features:
    """What an application was built with, so that the API knows what has an effect.

    Attributes:
        has_safety_checker: Whether pictures are looked at before they are delivered.
        has_go_fast: Whether there is a transformer in 8 bits.
        lora_names: Of the operator's catalogue of adapters.
    """

    has_safety_checker: bool = False
    has_go_fast: bool = False
    lora_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a picture, in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class InputImage:
    """A client's picture that is to be changed, already at the size that is delivered.

    Attributes:
        picture: (height, width, 3) uint8, RGB.
        strength: How much of it is lost, 0 to 1; at 0 nothing is denoised.
        mask: (height, width) uint8: what is 0 stays as it is, what is 128 and above is painted
            anew; None paints everything anew.
    """

    picture: np.ndarray
    strength: float
    mask: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Lora:
    """An adapter that a request names.

    Attributes:
        path: Its name in the operator's catalogue; never a path of the file system.
        scale: How strongly it changes the model: 1 as it was trained, 0 not at all, below 0 the
            other way.
    """

    path: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """One checked request: everything the pipeline needs, nothing of HTTP.

    Attributes:
        request_id: `req_…`, made once at admission; the same in every retry.
        prompt: The text, as the client sent it.
        num_images: How many pictures, at least 1.
        seed: Of the first picture; picture `i` uses `image_seed(i)`.
        canvas: The size that is generated: a multiple of the model's own step on each side.
        output: The size that is delivered, cut or scaled from the canvas.
        num_inference_steps: Transformer evaluations per picture, at least 1.
        guidance_scale: The distilled guidance value (not classifier-free guidance).
        output_format: File format of the delivered picture.
        output_compression: Encoder quality, 0 to 100 (100 is best); png has none.
        delivery: Whether the picture is stored for download or returned as bytes.
        input_image: The picture to change; None makes a new one.
        num_previews: Unfinished pictures to show on the way, where the result is streamed.
        is_safety_checked: Whether the safety checker looks at the pictures, where one is loaded.
        priority: Its class.
        tenant: Whose it is: the id of a key, or empty.
        acceleration: How much exactness may be given up for speed.
        is_fast: Whether the 8-bit transformer is asked for, where one is loaded.
        loras: Adapters of the catalogue.
    """

    request_id: str
    prompt: str
    num_images: int
    seed: int
    canvas: Size
    output: Size
    num_inference_steps: int
    guidance_scale: float
    output_format: OutputFormat
    output_compression: int
    delivery: Delivery
    input_image: InputImage | None = None
    num_previews: int = 0
    is_safety_checked: bool = True
    priority: Priority = Priority.STANDARD
    tenant: str = ""
    acceleration: Acceleration = "none"
    is_fast: bool = False
    loras: tuple[Lora, ...] = ()

    def image_seed(self, index: int) -> int:
        """Return the seed of picture `index`: that of a request of its own with `seed + index`."""
        return (self.seed + index) % NUM_SEEDS


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """What the tokenizer found out about a prompt, for `usage` and `metadata`.

    Attributes:
        num_tokens: T5 tokens of the prompt that the model read, the end token included.
        is_truncated: Whether the prompt had more tokens than the model reads.
    """

    num_tokens: int
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class PromptEmbeds:
    """A prompt as the transformer reads it (TextEncoder to Denoiser).

    Attributes:
        prompt_embeds: T5 hidden states, (1, max_sequence_length, joint_attention_dim).
        pooled_prompt_embeds: CLIP pooled output, (1, pooled_projection_dim).
        facts: Carried along the chain, because only its last message is ever awaited.
        spent: What it took so far.
    """

    prompt_embeds: torch.Tensor
    pooled_prompt_embeds: torch.Tensor
    facts: PromptFacts
    spent: Spent = NO_TIME


@dataclass(frozen=True, slots=True)
class DenoiseParams:
    """What makes one picture out of a prompt (Pipeline to Denoiser).

    Attributes:
        request_id: Of the request.
        image_index: Of the picture in it.
        canvas: Its size.
        seed: Of its noise.
        num_inference_steps: At strength 1; in proportion less at a lower one, at least 1.
        guidance_scale: The distilled guidance value.
        strength: Of an edit, over 0 up to 1: how much of its picture is lost.
        num_previews: Unfinished pictures to show on the way.
        priority: Of the request.
        tenant: Whose it is: tenants take turns.
        must_end_unix_s: When the request is over, in Unix seconds; None: never.
        acceleration: How much exactness may be given up for speed.
        is_fast: Whether the 8-bit transformer is asked for.
        loras: Adapters of the catalogue.
    """

    request_id: str
    image_index: int
    canvas: Size
    seed: int
    num_inference_steps: int
    guidance_scale: float
    strength: float = 1.0
    num_previews: int = 0
    priority: Priority = Priority.STANDARD
    tenant: str = ""
    must_end_unix_s: float | None = None
    acceleration: Acceleration = "none"
    is_fast: bool = False
    loras: tuple[Lora, ...] = ()


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A client's picture as the denoiser starts from it (Vae to Denoiser).

    Attributes:
        image_latents: (1, image_seq_len, 4 * latent_channels), packed.
        noise: The same shape. It is drawn after the VAE's own sample from one generator, so it
            comes from where that sample was drawn.
        mask: (height, width) uint8 at the size of the canvas: what is 128 and above is painted
            anew; None paints everything anew.
        spent: What it took so far.
    """

    image_latents: torch.Tensor
    noise: torch.Tensor
    mask: np.ndarray | None = None
    spent: Spent = NO_TIME


@dataclass(frozen=True, slots=True)
class Latents:
    """A denoised picture or a preview of it, still packed (Denoiser to Vae).

    Attributes:
        latents: (1, image_seq_len, 4 * latent_channels).
        canvas: Its size in pixels.
        facts: Of the prompt.
        is_preview: Whether the picture is unfinished.
        spent: What it took so far.
    """

    latents: torch.Tensor
    canvas: Size
    facts: PromptFacts
    is_preview: bool = False
    spent: Spent = NO_TIME


@dataclass(frozen=True, slots=True)
class Pixels:
    """A decoded picture (Vae to ImageWriter).

    Attributes:
        array: (height, width, 3) uint8, RGB.
        facts: Of the prompt.
        is_preview: Whether the picture is unfinished.
        spent: What it took so far.
    """

    array: np.ndarray
    facts: PromptFacts
    is_preview: bool = False
    spent: Spent = NO_TIME


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the safety checker says of a picture (SafetyChecker to ImageWriter).

    Attributes:
        is_flagged: Whether the picture must not be delivered.
    """

    is_flagged: bool


@dataclass(frozen=True, slots=True)
class WriteParams:
    """How a picture is delivered (Pipeline to ImageWriter).

    Attributes:
        output: Size of the file, in pixels.
        output_format: Its format.
        output_compression: Encoder quality, 0 to 100.
        delivery: Whether it is stored for download or returned.
        seed: Of this picture; the file says it.
        is_edit: Whether it was made from a client's picture; the file says so.
        protected: The edited picture and its mask: outside the mask the file keeps the picture.
    """

    output: Size
    output_format: OutputFormat
    output_compression: int
    delivery: Delivery
    seed: int
    is_edit: bool = False
    protected: InputImage | None = None


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """A finished picture (ImageWriter to the ingress): its file, or the name it is stored under.

    Attributes:
        output: Size of the file, in pixels.
        output_format: Its format.
        content: The file's bytes when it is delivered inside the answer, else None.
        object_name: Its unguessable name in the image store when delivered as a URL, else None.
        size_bytes: Of the file.
        facts: Of the prompt.
        is_preview: Whether the picture is unfinished.
        spent: What it took so far.
    """

    output: Size
    output_format: OutputFormat
    content: bytes | None
    object_name: str | None
    size_bytes: int
    facts: PromptFacts
    is_preview: bool = False
    spent: Spent = NO_TIME


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """All pictures of one request, in order."""

    images: tuple[WrittenImage, ...]
