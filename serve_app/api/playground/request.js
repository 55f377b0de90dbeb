// The request that the form describes: as JSON for fetch, and as a curl command to keep.

export const ENDPOINT = "v1/images/generations";

const byId = (id) => document.getElementById(id);

// Numbers are written by hand: a seed has up to 63 bits, more than a JavaScript number holds.
export function requestJson(responseFormat) {
  const fields = [
    ["prompt", JSON.stringify(byId("prompt").value)],
    ...sizeFields(),
    ["n", numberOrText("n")],
    ["seed", numberOrText("seed")],
    ["num_inference_steps", numberOrText("steps")],
    ["cfg_scale", numberOrText("guidance")],
    ["output_format", JSON.stringify(byId("format").value)],
    ...(byId("format").value === "png" ? [] : [["output_compression", numberOrText("quality")]]),
    ["response_format", JSON.stringify(responseFormat)],
  ];
  const given = fields.filter(([, json]) => json !== null);
  return `{\n${given.map(([name, json]) => `  "${name}": ${json}`).join(",\n")}\n}`;
}

export function curlCommand(json, hasKey) {
  const url = new URL(ENDPOINT, document.baseURI);
  const lines = [
    `curl ${shellQuoted(url.href)}`,
    ...(hasKey ? ['-H "Authorization: Bearer $KREA_SERVE_API_KEY"'] : []),
    "-H 'Content-Type: application/json'",
    `-d ${shellQuoted(json)}`,
  ];
  return lines.join(" \\\n  ");
}

export function shape() {
  return document.querySelector("input[name=shape]:checked").value;
}

function sizeFields() {
  if (shape() === "pixels") return [["size", JSON.stringify(byId("size").value)]];
  return [
    ["aspect_ratio", JSON.stringify(shape())],
    ["megapixels", JSON.stringify(byId("scale").value)],
  ];
}

// What is no number is sent as text, so that the server's own words explain what is wrong.
function numberOrText(id) {
  const text = byId(id).value.trim();
  if (text === "") return null;
  return /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(text) ? text : JSON.stringify(text);
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
