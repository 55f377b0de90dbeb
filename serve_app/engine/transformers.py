"""The packed forwards of a denoiser's transformers: one for each, made once, compiled or not."""

import logging
from collections.abc import Iterable

from serve_app.engine.compiled import CompiledTransformer
from serve_app.engine.packed import PackedTransformer
from serve_app.stages.transformer import TransformerStage

logger = logging.getLogger(__name__)


class Transformers:
    """Gives each stage its packed forward, always the same: it may hold hooks and graphs."""

    def __init__(self, *, are_compiled: bool = False, backend: str = "inductor") -> None:
        """Make none yet.

        Args:
            are_compiled: Whether blocks are compiled; then a picture alone takes them too.
            backend: The name of one of `torch.compile`.
        """
        self.are_compiled = are_compiled
        self._backend = backend
        self._packed: dict[int, PackedTransformer] = {}

    @property
    def num_recompiles(self) -> int:
        """Graphs made in service, each of which made pictures wait; 0 is as it should be."""
        return sum(
            packed.num_recompiles
            for packed in self._packed.values()
            if isinstance(packed, CompiledTransformer)
        )

    def of(self, stage: TransformerStage) -> PackedTransformer:
        """Return the packed forward of a stage."""
        # The transformer lives as long as what is made of it here, so its identity stays its own.
        key = id(stage.transformer)
        if key not in self._packed:
            self._packed[key] = self._made(stage)
        return self._packed[key]

    def warm_up(self, stages: Iterable[TransformerStage], text_length: int) -> None:
        """Compile the stages' blocks, which takes minutes; nothing where they are not compiled.

        Args:
            stages: All that will run.
            text_length: Tokens of a prompt.
        """
        # A stage that stands for two is compiled once.
        for packed in dict.fromkeys(map(self.of, stages)):
            if isinstance(packed, CompiledTransformer):
                packed.warm_up(text_length, _log_progress)

    def _made(self, stage: TransformerStage) -> PackedTransformer:
        if self.are_compiled:
            return CompiledTransformer(stage.transformer, self._backend)
        return PackedTransformer(stage.transformer)


def _log_progress(done: int, total: int) -> None:
    logger.info("compiling the transformer: %d of %d forwards", done, total)
