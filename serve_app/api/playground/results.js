// The list of what was generated.

import { blobOf } from "./client.js";

const byId = (id) => document.getElementById(id);

// `edit` is called with a picture's file and a name for it.
export function addResult(answer, curl, edit) {
  const result = byId("result-template").content.cloneNode(true);
  result.querySelector(".prompt").textContent = answer.data[0].revised_prompt;
  result.querySelector(".facts").textContent = facts(answer);
  result.querySelector("code").textContent = curl;
  result.querySelector(".copy").addEventListener("click", (event) => copy(event.target, curl));
  const pictures = result.querySelector(".pictures");
  for (const [index, image] of answer.data.entries()) {
    pictures.append(picture(answer, image, index, edit));
  }
  byId("empty").hidden = true;
  byId("results").prepend(result);
}

function picture(answer, image, index, edit) {
  const seed = String((answer.seed + BigInt(index)) % 2n ** 63n);
  const format = answer.output_format;
  const name = `krea-${seed}.${format}`;
  const blob = blobOf(image.b64_json, `image/${format}`);
  const url = URL.createObjectURL(blob);
  const figure = byId("picture-template").content.cloneNode(true);
  const [width, height] = answer.size.split("x").map(Number);
  Object.assign(figure.querySelector("img"), { src: url, alt: image.revised_prompt, width, height });
  figure.querySelector(".open").href = url;
  figure.querySelector(".seed").textContent = `seed ${seed}`;
  figure.querySelector(".edit").addEventListener("click", () => edit(blob, name));
  figure.querySelector(".reuse").addEventListener("click", () => { byId("seed").value = seed; });
  Object.assign(figure.querySelector(".download"), { href: url, download: name });
  return figure;
}

function facts({ size, output_format: format, metadata }) {
  return [
    size.replace("x", " × "),
    format.toUpperCase(),
    ...(metadata ? metadataFacts(metadata) : []),
  ].join(" · ");
}

function metadataFacts(metadata) {
  const ignored = metadata.ignored_parameters;
  return [
    `${metadata.cost} ${metadata.cost_currency}`,
    ...(metadata.prompt_truncated ? ["prompt cut short"] : []),
    ...(ignored.length ? [`ignored: ${ignored.join(", ")}`] : []),
  ];
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without HTTPS a browser may refuse; the text can be selected by hand.
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Press Ctrl + C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}
