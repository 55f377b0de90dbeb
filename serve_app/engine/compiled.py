"""The packed forward with compiled blocks: one set of graphs for pictures of every size.

torch.compile makes a graph of each kind of block, for one picture and for several: four in all,
which every block of the model and every layout of a batch then share. `warm_up` makes them before
service; a graph made later stalls all pictures for the time of a compilation, so it is counted.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from serve_app.engine.packed import (
    Blocks,
    PackedInputs,
    PackedTransformer,
    double_block,
    single_block,
)

OnProgress = Callable[[int, int], None]

# Image tokens of each picture of a forward. The first two make the graphs, tuned for the sizes
# they are made at: FLUX.1 has 4096 tokens at 1024x1024. The others look for a graph that holds
# for the first sizes only, as one would that took two equal lengths for the same.
WARM_UP: Sequence[Sequence[int]] = ((4096,), (4096, 1024), (256,), (1024, 256, 576))


class CompiledTransformer(PackedTransformer):
    """A packed transformer whose blocks are compiled.

    Every forward, `warm_up` included, must run under `torch.no_grad()`: the compiler makes other
    graphs for other gradient modes.
    """

    def __init__(self, transformer: FluxTransformer2DModel, backend: str = "inductor") -> None:
        """Prepare the blocks; the first forward compiles them.

        Args:
            transformer: Of any dtype, also quantised.
            backend: The name of one of `torch.compile`. `inductor` needs a C++ compiler and
                Python's headers on the machine.
        """
        self._graphs = _CountedBackend(backend)
        self._num_warm_graphs = 0
        super().__init__(
            transformer, Blocks(self._compiled(double_block), self._compiled(single_block))
        )

    @property
    def num_graphs(self) -> int:
        """Graphs in use."""
        return self._graphs.num_graphs

    @property
    def num_recompiles(self) -> int:
        """Graphs made since the warm-up, each of which made pictures wait; 0 is as it should be."""
        return self.num_graphs - self._num_warm_graphs

    def warm_up(
        self,
        text_length: int,
        on_progress: OnProgress | None = None,
        layouts: Sequence[Sequence[int]] = WARM_UP,
    ) -> None:
        """Compile for every layout; takes minutes.

        Args:
            text_length: Tokens of a prompt, at least 2.
            on_progress: Is told the forwards done and the forwards in all, first with 0 done.
            layouts: Image tokens of each picture, at least 2, of each forward.
        """
        for index, image_lengths in enumerate(layouts):
            if on_progress is not None:
                on_progress(index, len(layouts))
            self._forward(_blank_inputs(self._model, text_length, image_lengths))
        if on_progress is not None:
            on_progress(len(layouts), len(layouts))
        self._num_warm_graphs = self.num_graphs

    def _compiled(self, block: Callable[..., Any]) -> Any:
        compile_function: Any = torch.compile  # whose annotations lack `isolate_recompiles`
        # Isolated, for the compiler gives up on a function that has too many graphs: another
        # model's, of the same process, do not count.
        return compile_function(block, dynamic=True, backend=self._graphs, isolate_recompiles=True)

    @torch.no_grad()
    def _forward(self, inputs: PackedInputs) -> None:
        hidden = self.first_block(self.embed(inputs))
        self.head(self.other_blocks(hidden), hidden)


class _CountedBackend:
    """A backend of `torch.compile` that counts the graphs it made."""

    def __init__(self, name: str) -> None:
        self.num_graphs = 0
        self._compile = torch._dynamo.lookup_backend(name)

    def __call__(
        self, graph: torch.fx.GraphModule, example_inputs: list[Any]
    ) -> Callable[..., Any]:
        run = self._compile(graph, example_inputs)
        is_counted = False

        def counted(*inputs: Any) -> Any:
            # Not before: the compiler makes some graphs only to throw them away.
            nonlocal is_counted
            if not is_counted:
                self.num_graphs += 1
                is_counted = True
            return run(*inputs)

        return counted


def _blank_inputs(model: Any, text_length: int, image_lengths: Sequence[int]) -> PackedInputs:
    config, num_pictures = model.config, len(image_lengths)

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=model.dtype, device=model.device)

    return PackedInputs(
        latents=[zeros(length, config["in_channels"]) for length in image_lengths],
        prompt_embeds=[zeros(text_length, config["joint_attention_dim"])] * num_pictures,
        pooled_prompt_embeds=zeros(num_pictures, config["pooled_projection_dim"]),
        timesteps=zeros(num_pictures).float(),
        guidance_scales=zeros(num_pictures).float(),
        latent_image_ids=[zeros(length, 3) for length in image_lengths],
    )
