import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

import { PROMPT, URL, sdk } from "./sdk.mjs";

const REFUSED = [
  ["a number out of range", { n: 11 }, OpenAI.BadRequestError, "n", "INVALID_REQUEST"],
  ["no prompt", { prompt: null }, OpenAI.BadRequestError, "prompt", "INVALID_REQUEST"],
  ["another model", { model: "dall-e-3" }, OpenAI.NotFoundError, "model", "MODEL_NOT_FOUND"],
  ["what the operator forbids", { disable_safety_checker: true }, OpenAI.PermissionDeniedError,
    "disable_safety_checker", "PERMISSION_DENIED"],
];

for (const [name, fields, kind, param, code] of REFUSED) {
  test(name, async () => {
    await assert.rejects(sdk().images.generate({ prompt: PROMPT, ...fields }), (error) => {
      assert.ok(error instanceof kind);
      assert.deepEqual([error.param, error.code], [param, code]);
      assert.ok(error.message.toLowerCase().includes(param));
      return true;
    });
  });
}

test("a wrong key", async () => {
  await assert.rejects(
    sdk({ apiKey: "sk-other" }).images.generate({ prompt: PROMPT }),
    (error) => error instanceof OpenAI.AuthenticationError && error.code === "AUTHENTICATION_FAILED");
});

test("a wrong base URL", async () => {
  await assert.rejects(
    sdk({ baseURL: URL }).images.generate({ prompt: PROMPT }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "NOT_FOUND");
});

test("a file that is no picture", async () => {
  const image = await toFile(Buffer.from("hello"), "a.png", { type: "image/png" });
  await assert.rejects(sdk().images.edit({ image, prompt: PROMPT }),
    { status: 400, param: "image", code: "INVALID_REQUEST" });
});
