// The server fails after the first preview.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { PROMPT, sdk } from "./sdk.mjs";

test("what goes wrong on the way is thrown", async () => {
  const stream = await sdk().images.generate({
    prompt: PROMPT, size: "64x64", stream: true, partial_images: 1,
  });
  const types = [];
  await assert.rejects(
    async () => { for await (const event of stream) types.push(event.type); },
    (error) => error instanceof OpenAI.APIError && error.code === "SERVICE_UNAVAILABLE");
  assert.deepEqual(types, ["image_generation.partial_image"]);
});
