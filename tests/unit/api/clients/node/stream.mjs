import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { test } from "node:test";

import { PROMPT, decoded, picturePath, sdk, sizeOf } from "./sdk.mjs";

async function eventsOf(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

test("a generation in events", async () => {
  const stream = await sdk().images.generate({
    prompt: PROMPT, size: "128x64", stream: true, partial_images: 2,
  });
  const events = await eventsOf(stream);
  const partial = "image_generation.partial_image";
  assert.deepEqual(events.map((event) => event.type),
    [partial, partial, "image_generation.completed"]);
  assert.deepEqual(events.map((event) => event.partial_image_index), [0, 1, undefined]);
  assert.deepEqual(events.map((event) => sizeOf(decoded(event))), Array(3).fill([128, 64]));
  assert.ok(events[2].usage.output_tokens > 0);
});

test("an edit in events", async () => {
  const stream = await sdk().images.edit({
    image: createReadStream(picturePath("image.png")), prompt: PROMPT, stream: true,
    partial_images: 1,
  });
  assert.deepEqual((await eventsOf(stream)).map((event) => event.type),
    ["image_edit.partial_image", "image_edit.completed"]);
});

test("what is wrong beforehand is an error of its class", async () => {
  await assert.rejects(sdk().images.generate({ prompt: PROMPT, stream: true, n: 2 }),
    { status: 400, param: "n" });
});
