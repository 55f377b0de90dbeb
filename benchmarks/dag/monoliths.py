"""What one would write in an afternoon: FluxPipeline behind Ray Serve, and behind uvicorn.

`python -m benchmarks.dag.monoliths PORT` is the latter.
"""

import asyncio
import base64
import sys
from io import BytesIO
from typing import Any

import torch
import uvicorn
from diffusers import FluxPipeline
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serve_app.config import EMBEDDED_MODEL_DIR

NUM_THREADS = 2


class BarePipeline:
    """The embedded model in diffusers' own pipeline, one picture at a time."""

    def __init__(self) -> None:
        torch.set_num_threads(NUM_THREADS)
        self._pipeline = FluxPipeline.from_pretrained(EMBEDDED_MODEL_DIR, dtype=torch.float32)
        self._pipeline.set_progress_bar_config(disable=True)

    def png(self, body: dict[str, Any]) -> bytes:
        """Return the picture that a request asks for."""
        width, height = map(int, body["size"].split("x"))
        (picture,) = self._pipeline(
            body["prompt"],
            width=width,
            height=height,
            num_inference_steps=body["num_inference_steps"],
            guidance_scale=4.5,
            max_sequence_length=self._pipeline.tokenizer_2.model_max_length,
            generator=torch.Generator("cpu").manual_seed(body["seed"]),
        ).images
        file = BytesIO()
        picture.save(file, "png")
        return file.getvalue()

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer in OpenAI's shape."""
        return {"data": [{"b64_json": base64.b64encode(self.png(body)).decode()}]}


class Monolith:
    """The pipeline as a Serve deployment of one replica that takes one request at a time."""

    def __init__(self) -> None:
        self._pipeline = BarePipeline()

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer one request, in a thread: the replica must stay healthy meanwhile."""
        return JSONResponse(await run_in_threadpool(self._pipeline.answer, await request.json()))


def app() -> Starlette:
    """Return the pipeline as a Starlette app."""
    pipeline = BarePipeline()

    # The pipeline keeps its state in itself, so it makes one picture at a time.
    turn = asyncio.Lock()

    async def generate(request: Request) -> JSONResponse:
        body = await request.json()
        async with turn:
            return JSONResponse(await run_in_threadpool(pipeline.answer, body))

    return Starlette(routes=[Route("/v1/images/generations", generate, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
