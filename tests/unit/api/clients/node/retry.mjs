// The server refuses the first tries: with which status, and how long the pauses were, the test in
// Python knows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PROMPT, decoded, sdk, sizeOf } from "./sdk.mjs";

test("it comes back until there is an answer", async () => {
  const answer = await sdk({ maxRetries: 2 }).images.generate({
    prompt: PROMPT, size: "128x64", response_format: "b64_json",
  });
  assert.deepEqual(sizeOf(decoded(answer.data[0])), [128, 64]);
});
