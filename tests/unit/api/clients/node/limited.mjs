// The server refuses every try.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { PROMPT, sdk } from "./sdk.mjs";

test("a limit is a rate limit error", async () => {
  await assert.rejects(
    sdk().images.generate({ prompt: PROMPT }),
    (error) => error instanceof OpenAI.RateLimitError && error.code === "RATE_LIMITED" &&
      error.headers.get("retry-after") === "1");
});
