import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { test } from "node:test";

import { toFile } from "openai";

import { PROMPT, decoded, picture, picturePath, sdk, sizeOf } from "./sdk.mjs";

// The last edit has the mask: the test in Python looks at what has arrived.
const WAYS = {
  "a stream, of unknown length": () => ({ image: createReadStream(picturePath("image.png")) }),
  "a file": async () => ({ image: await toFile(picture("image.png"), "a.png", { type: "image/png" }) }),
  "a file without a name or a type": async () => ({ image: await toFile(picture("image.png")) }),
  "a list": async () => ({ image: [await toFile(picture("image.png"), "a.png")] }),
  "a stream with a mask": () => ({
    image: createReadStream(picturePath("image.png")), mask: createReadStream(picturePath("mask.png")),
  }),
};

for (const [name, files] of Object.entries(WAYS)) {
  test(name, async () => {
    const answer = await sdk().images.edit({
      ...await files(), prompt: PROMPT, strength: 0, response_format: "b64_json",
    });
    assert.deepEqual(sizeOf(decoded(answer.data[0])), [96, 64]);
    assert.equal(answer.size, "96x64");
  });
}
