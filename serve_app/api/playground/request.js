// The request that the form describes: for fetch, and as a curl command to keep.

const GENERATIONS = "v1/images/generations";
const EDITS = "v1/images/edits";

const byId = (id) => document.getElementById(id);

// What is to be sent. `files` is null, or has the `image` to edit and perhaps its `mask`.
export function requestOf(files) {
  const numPreviews = hasPreviews() ? Number(byId("previews").value) : 0;
  const isStreamed = numPreviews > 0;
  const seed = numberOrText("seed") ?? (isStreamed ? drawnSeed() : null);
  const fields = given([
    ["prompt", JSON.stringify(byId("prompt").value)],
    ...sizeFields(),
    ["n", numberOrText("n")],
    ["seed", seed],
    ["num_inference_steps", numberOrText("steps")],
    ["cfg_scale", numberOrText("guidance")],
    ["strength", files ? numberOrText("strength") : null],
    ["output_format", JSON.stringify(byId("format").value)],
    ["output_compression", byId("format").value === "png" ? null : numberOrText("quality")],
    ["response_format", JSON.stringify("b64_json")],
    ["stream", isStreamed ? "true" : null],
    ["partial_images", isStreamed ? String(numPreviews) : null],
  ]);
  return {
    path: files ? EDITS : GENERATIONS,
    body: files ? formOf(fields, files) : jsonOf(fields),
    isForm: files !== null,
    prompt: byId("prompt").value,
    fields, files, isStreamed, numPreviews, seed,
  };
}

// In a terminal a URL is more use than a megabyte of base64.
export function curlCommand(request, hasKey) {
  const unwanted = ["stream", "partial_images", "response_format"];
  const fields = request.fields.filter(([name]) => !unwanted.includes(name));
  const url = new URL(request.path, document.baseURI);
  return [
    `curl ${shellQuoted(url.href)}`,
    ...(hasKey ? ['-H "Authorization: Bearer $KREA_SERVE_API_KEY"'] : []),
    ...(request.files ? formOptions(fields, request.files) : jsonOptions(fields)),
  ].join(" \\\n  ");
}

// Events have no number, so OpenAI allows one picture in a stream.
export function hasPreviews() {
  return byId("n").value.trim() === "1";
}

export function shape() {
  return document.querySelector("input[name=shape]:checked").value;
}

// Numbers are written by hand: a seed has up to 63 bits, more than a JavaScript number holds.
function jsonOf(fields) {
  return `{\n${fields.map(([name, json]) => `  "${name}": ${json}`).join(",\n")}\n}`;
}

function formOf(fields, { image, name, mask }) {
  const form = new FormData();
  for (const [field, json] of fields) form.append(field, textOf(json));
  form.append("image", image, name);
  if (mask) form.append("mask", mask, "mask.png");
  return form;
}

function jsonOptions(fields) {
  return ["-H 'Content-Type: application/json'", `-d ${shellQuoted(jsonOf(fields))}`];
}

function formOptions(fields, { name, mask }) {
  return [
    // curl would read a name with a comma or a semicolon as more than that.
    `-F ${shellQuoted(`image=@"${name.replaceAll(/["\\]/g, "\\$&")}"`)}`,
    ...(mask ? ["-F 'mask=@mask.png'"] : []),
    ...fields.map(([field, json]) => `--form-string ${shellQuoted(`${field}=${textOf(json)}`)}`),
  ];
}

function sizeFields() {
  if (shape() === "own") return [];
  if (shape() === "pixels") return [["size", JSON.stringify(byId("size").value)]];
  return [
    ["aspect_ratio", JSON.stringify(shape())],
    ["megapixels", JSON.stringify(byId("scale").value)],
  ];
}

function given(fields) {
  return fields.filter(([, json]) => json !== null);
}

// The events of a stream do not say which seed the server would have drawn.
function drawnSeed() {
  return String(crypto.getRandomValues(new Uint32Array(1))[0]);
}

// What is no number is sent as text, so that the server's own words explain what is wrong.
function numberOrText(id) {
  const text = byId(id).value.trim();
  if (text === "") return null;
  return /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(text) ? text : JSON.stringify(text);
}

function textOf(json) {
  return json.startsWith('"') ? JSON.parse(json) : json;
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
