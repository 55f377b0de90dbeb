// OpenAI's client for Node.js, unchanged, of the server that the test has started.

import { File } from "node:buffer";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import OpenAI from "openai";

// Node.js 18 has the class, but not yet as a global one.
globalThis.File ??= File;

export const URL = process.env.TEST_SERVER_URL;
export const PROMPT = "a red circle on a blue background";

export function sdk(options = {}) {
  return new OpenAI({
    baseURL: `${URL}/v1`, apiKey: process.env.TEST_API_KEY, maxRetries: 0, ...options,
  });
}

export function picturePath(name) {
  return join(process.env.TEST_PICTURES, name);
}

export function picture(name) {
  return readFileSync(picturePath(name));
}

// A PNG's width and height are the first two numbers of its first chunk.
export function sizeOf(png) {
  return [png.readUInt32BE(16), png.readUInt32BE(20)];
}

export function decoded(image) {
  return Buffer.from(image.b64_json, "base64");
}
