import assert from "node:assert/strict";
import { test } from "node:test";

import { PROMPT, URL, decoded, sdk, sizeOf } from "./sdk.mjs";

for (const prefix of ["/v1", "/openai/v1"]) {
  test(`pictures by ${prefix}`, async () => {
    const answer = await sdk({ baseURL: URL + prefix }).images.generate({
      model: "flux.1-krea-dev", prompt: PROMPT, n: 2, size: "128x64", response_format: "b64_json",
    });
    assert.deepEqual(answer.data.map((image) => sizeOf(decoded(image))), [[128, 64], [128, 64]]);
    assert.deepEqual([answer.size, answer.output_format, answer.background],
      ["128x64", "png", "opaque"]);
    assert.ok(answer.usage.total_tokens > answer.usage.output_tokens);
    assert.equal(answer.metadata.model, "flux.1-krea-dev");
    assert.match(answer.id, /^req_/);
  });
}

test("a URL is fetched without the key", async () => {
  const { data: [image] } = await sdk().images.generate({ prompt: PROMPT, size: "128x64" });
  const file = await fetch(image.url);
  assert.equal(file.headers.get("content-type"), "image/png");
  assert.deepEqual(sizeOf(Buffer.from(await file.arrayBuffer())), [128, 64]);
});

test("what OpenAI does not know goes through, and null is not given", async () => {
  const answer = await sdk().images.generate({
    prompt: PROMPT, n: null, image_size: { width: 128, height: 64 }, guidance_scale: 3, seed: 7,
    lora: "x",
  });
  assert.deepEqual([answer.size, answer.metadata.seed], ["128x64", 7]);
  assert.deepEqual(answer.metadata.ignored_parameters, ["lora"]);
});

test("a dry run", async () => {
  const answer = await sdk().images.generate(
    { prompt: PROMPT, n: 2 }, { query: { dryRun: "true" } });
  assert.deepEqual([answer.estimated, answer.total_cost_micros], [true, 50000]);
  assert.equal(answer.data, undefined);
});

test("raw answers have the headers", async () => {
  const { data, response } = await sdk().images
    .generate({ prompt: PROMPT, size: "64x64" }).withResponse();
  assert.equal(response.headers.get("x-lumenfall-request-id"), data.id);
});

test("the models", async () => {
  const names = [];
  for await (const model of sdk().models.list()) names.push(model.id);
  assert.deepEqual(names, ["flux.1-krea-dev"]);
  const found = await sdk().models.retrieve("replicate/flux.1-krea-dev");
  assert.equal(found.id, "flux.1-krea-dev");
});
