// Requests to the server that this page came from, and its answers.

// The answer to a request, with its seed; previews are handed on as they come.
export async function send(request, key, signal, showPreview) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (!request.isForm) headers["Content-Type"] = "application/json";
  const response = await fetched(
    request.path, { method: "POST", headers, body: request.body, signal });
  if (!response.ok) {
    const message = parsed(await response.text())?.error?.message ?? response.statusText;
    throw new Error(`${message} (HTTP ${response.status})`);
  }
  if (request.isStreamed) return streamedAnswer(response, request, showPreview);
  const text = await response.text();
  return { ...JSON.parse(text), seed: exactSeed(text) };
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
}

// An event has the picture but no metadata: what was asked for takes their place.
async function streamedAnswer(response, request, showPreview) {
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    if (event.type.endsWith(".partial_image")) {
      showPreview(event, request.numPreviews);
    } else if (event.type.endsWith(".completed")) {
      const image = { b64_json: event.b64_json, revised_prompt: request.prompt };
      return { ...event, data: [image], seed: BigInt(request.seed) };
    }
  }
  throw new Error("The server closed the connection before the picture was finished.");
}

// Server-sent events end with an empty line; comments, which keep the connection open, have no data.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = /^data: (.*)$/m.exec(block);
      if (data) yield JSON.parse(data[1]);
    }
  }
}

// A seed may be larger than a JavaScript number: it is read from the text.
function exactSeed(text) {
  const metadata = text.slice(text.lastIndexOf('"metadata"'));
  return BigInt(/"seed":\s*(\d+)/.exec(metadata)[1]);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type });
}
