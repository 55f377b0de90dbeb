"""A drawing of a few pixels, for tests of thousands of answers."""

from dataclasses import replace

from serve_app.messages import GenerationParams, Size, WrittenImage
from tests.unit.api.drawing import Drawing

SIDE = Size(16, 16)


class Sketch(Drawing):
    """Draws the same few pixels whatever size it was asked for."""

    async def _write(self, params: GenerationParams, index: int) -> WrittenImage:
        return await super()._write(replace(params, canvas=SIDE, output=SIDE), index)
