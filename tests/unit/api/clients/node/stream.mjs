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
  const previews = events.slice(0, -1);
  // The picture may overtake its last previews.
  assert.ok(previews.length <= 2);
  assert.deepEqual(previews.map((event) => [event.type, event.partial_image_index]),
    [[partial, 0], [partial, 1]].slice(0, previews.length));
  for (const event of events) assert.deepEqual(sizeOf(decoded(event)), [128, 64]);
  assert.equal(events.at(-1).type, "image_generation.completed");
  assert.ok(events.at(-1).usage.output_tokens > 0);
});

test("an edit in events", async () => {
  const stream = await sdk().images.edit({
    image: createReadStream(picturePath("image.png")), prompt: PROMPT, stream: true,
    partial_images: 1,
  });
  const types = (await eventsOf(stream)).map((event) => event.type);
  assert.equal(types.at(-1), "image_edit.completed");
  assert.ok(types.slice(0, -1).every((type) => type === "image_edit.partial_image"));
});

test("what is wrong beforehand is an error of its class", async () => {
  await assert.rejects(sdk().images.generate({ prompt: PROMPT, stream: true, n: 2 }),
    { status: 400, param: "n" });
});
