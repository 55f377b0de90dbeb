"""LoRAs in a packed batch: each changes the rows of its own pictures, nobody else's.

A hook on every Linear adds `scale * up(down(x))` to those rows of its output. Which rows these are
depends on what the Linear reads, a row being a token or a whole picture. The weights stay as they
are, so the next batch can have other adapters, and a batch without any has the stock model's bits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Any, Literal

import torch

from serve_app.engine.layout import Layout
from serve_app.stages.lora_file import Factors

Rows = Literal["pictures", "text", "image", "joint"]

# A Linear reads image tokens unless a part of its name says otherwise; the first that fits decides.
ROWS_BY_NAME: tuple[tuple[str, Rows], ...] = (
    ("time_text_embed.", "pictures"),
    ("norm", "pictures"),  # each block's modulations, and norm_out
    ("single_transformer_blocks.", "joint"),
    ("context", "text"),  # context_embedder and ff_context
    (".attn.add_", "text"),
    (".attn.to_add_out", "text"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """One LoRA, where the transformer calculates and in its dtype.

    Attributes:
        name: In the operator's catalogue.
        factors: By the name of the Linear that they change.
        num_bytes: Memory that they take.
    """

    name: str
    factors: Mapping[str, Factors]
    num_bytes: int


@dataclass(frozen=True, slots=True)
class ScaledAdapter:
    """An adapter as one picture has it; several on one picture add up."""

    adapter: Adapter
    scale: float


PictureAdapters = tuple[ScaledAdapter, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring rows that have the same adapters."""

    rows: slice
    adapters: PictureAdapters


class AdaptedLayers:
    """The Linears of a stock model, to which adapters are added while a batch asks for them.

    Only one thread at a time may run the model.
    """

    def __init__(self, transformer: torch.nn.Module) -> None:
        self._transformer = transformer
        self._has_hooks = False
        self._runs: Mapping[Rows, Sequence[_Run]] = {}

    @contextmanager
    def applied(self, layout: Layout, adapters: Sequence[PictureAdapters]) -> Iterator[None]:
        """Add adapters to whatever the model calculates within the block.

        Args:
            layout: Of the batch.
            adapters: Of each of its pictures.
        """
        if not any(adapters):
            yield
            return
        if not self._has_hooks:
            self._install_hooks()
        self._runs = _runs(layout, adapters)
        try:
            # A compiled block has no hooks and would leave the adapters out without a word.
            with torch.compiler.set_stance("force_eager"):
                yield
        finally:
            self._runs = {}

    def _install_hooks(self) -> None:
        for name, module in self._transformer.named_modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(self._hook(name))
        self._has_hooks = True

    def _hook(self, name: str) -> Callable[[Any, Any, torch.Tensor], None]:
        rows = rows_of(name)

        def add(_module: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            for run in self._runs.get(rows, ()):
                for scaled in run.adapters:
                    factors = scaled.adapter.factors.get(name)
                    if factors is not None:
                        _add(factors, scaled.scale, args[0], output, run.rows)

        return add


def rows_of(name: str) -> Rows:
    """Return what one row of a Linear's input is.

    Args:
        name: Of the Linear in `FluxTransformer2DModel`.
    """
    return next((rows for part, rows in ROWS_BY_NAME if part in name), "image")


def _add(
    factors: Factors, scale: float, given: torch.Tensor, output: torch.Tensor, rows: slice
) -> None:
    """Add to some rows of a Linear's output, in place: all others keep their bits."""
    # `view` fails where `reshape` would change a copy.
    changed = output.view(-1, output.shape[-1])[rows]
    low = given.reshape(-1, given.shape[-1])[rows] @ factors.down.T
    changed.addmm_(low, factors.up.T, alpha=scale)


def _runs(layout: Layout, adapters: Sequence[PictureAdapters]) -> dict[Rows, Sequence[_Run]]:
    joint = [
        text + image for text, image in zip(layout.text_lengths, layout.image_lengths, strict=True)
    ]
    return {
        "pictures": _runs_of([1] * len(joint), adapters),
        "text": _runs_of(layout.text_lengths, adapters),
        "image": _runs_of(layout.image_lengths, adapters),
        "joint": _runs_of(joint, adapters),
    }


def _runs_of(lengths: Sequence[int], adapters: Sequence[PictureAdapters]) -> list[_Run]:
    ends = [0, *accumulate(lengths)]
    pictures = zip(pairwise(ends), adapters, strict=True)
    runs = []
    for of_run, group in groupby(pictures, key=lambda picture: picture[1]):
        spans = [span for span, _ in group]
        runs.append(_Run(slice(spans[0][0], spans[-1][1]), of_run))
    return [run for run in runs if run.adapters]
