// The playground: one form, one list of results, and the same API that every client uses.

import { ENDPOINT, curlCommand, requestJson, shape } from "./request.js";

const SHAPES = [
  "1:1", "5:4", "4:3", "3:2", "16:9", "21:9", "4:5", "3:4", "2:3", "9:16", "9:21", "pixels",
];
const KEY_ITEM = "krea-serve-key";
const READY_POLL_MS = 5000;

const byId = (id) => document.getElementById(id);
let running = null;

function addShapes() {
  for (const value of SHAPES) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {
      type: "radio", name: "shape", value, checked: value === "1:1",
    });
    const icon = document.createElement("i");
    const [width, height] = value === "pixels" ? [1, 1] : value.split(":").map(Number);
    icon.style.aspectRatio = `${width} / ${height}`;
    icon.className = value === "pixels" ? "dashed" : width >= height ? "broad" : "tall";
    label.append(input, icon, value === "pixels" ? "exact" : value);
    byId("shapes").append(label);
  }
}

function showFields() {
  const isExact = shape() === "pixels";
  byId("size-field").hidden = !isExact;
  byId("scale-field").hidden = isExact;
  byId("quality-field").hidden = byId("format").value === "png";
  byId("steps-value").value = byId("steps").value;
  byId("guidance-value").value = Number(byId("guidance").value).toFixed(1);
}

async function generate() {
  if (running) return;
  const json = requestJson("b64_json");
  // In a terminal a URL is more use than a megabyte of base64.
  const curl = curlCommand(requestJson("url"), byId("key").value.trim() !== "");
  const key = byId("key").value.trim();
  showError(null);
  running = new AbortController();
  const stopClock = startClock();
  try {
    const answer = await post(json, key, running.signal);
    addResult(answer, curl);
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  } finally {
    running = null;
    stopClock();
  }
}

async function post(json, key, signal) {
  const headers = { "Content-Type": "application/json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(ENDPOINT, { method: "POST", headers, body: json, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
  const text = await response.text();
  const answer = parsed(text);
  if (!response.ok) {
    const message = answer?.error?.message ?? response.statusText;
    throw new Error(`${message} (HTTP ${response.status})`);
  }
  return { ...answer, seed: exactSeed(text) };
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

function startClock() {
  const startedAt = performance.now();
  const tick = () => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    byId("progress").textContent = `Generating… ${seconds} s`;
  };
  tick();
  const timer = setInterval(tick, 100);
  setBusy(true);
  return () => {
    clearInterval(timer);
    setBusy(false);
  };
}

function setBusy(isBusy) {
  byId("generate").disabled = isBusy;
  byId("cancel").hidden = !isBusy;
  byId("progress").hidden = !isBusy;
  // On a phone the form is above the results.
  if (isBusy) byId("progress").scrollIntoView({ block: "nearest" });
}

function showError(message) {
  byId("error").hidden = message === null;
  byId("error").textContent = message ?? "";
  if (message !== null) byId("error").scrollIntoView({ block: "nearest" });
}

function addResult(answer, curl) {
  const result = byId("result-template").content.cloneNode(true);
  result.querySelector(".prompt").textContent = answer.data[0].revised_prompt;
  result.querySelector(".facts").textContent = facts(answer);
  result.querySelector("code").textContent = curl;
  result.querySelector(".copy").addEventListener("click", (event) => copy(event.target, curl));
  const pictures = result.querySelector(".pictures");
  for (const [index, image] of answer.data.entries()) {
    pictures.append(picture(answer, image, index));
  }
  byId("empty").hidden = true;
  byId("results").prepend(result);
}

function picture(answer, image, index) {
  const seed = String((answer.seed + BigInt(index)) % 2n ** 63n);
  const format = answer.output_format;
  const url = URL.createObjectURL(blobOf(image.b64_json, `image/${format}`));
  const figure = byId("picture-template").content.cloneNode(true);
  const [width, height] = answer.size.split("x").map(Number);
  Object.assign(figure.querySelector("img"), { src: url, alt: image.revised_prompt, width, height });
  figure.querySelector(".open").href = url;
  figure.querySelector(".seed").textContent = `seed ${seed}`;
  figure.querySelector(".reuse").addEventListener("click", () => { byId("seed").value = seed; });
  Object.assign(figure.querySelector(".download"), { href: url, download: `krea-${seed}.${format}` });
  return figure;
}

function blobOf(base64, type) {
  return new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type });
}

function facts(answer) {
  const ignored = answer.metadata.ignored_parameters;
  return [
    answer.size.replace("x", " × "),
    answer.output_format.toUpperCase(),
    `${answer.metadata.cost} ${answer.metadata.cost_currency}`,
    ...(answer.metadata.prompt_truncated ? ["prompt cut short"] : []),
    ...(ignored.length ? [`ignored: ${ignored.join(", ")}`] : []),
  ].join(" · ");
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

async function pollReady() {
  let isReady = false;
  let word = "unreachable";
  try {
    isReady = (await fetch("readyz")).ok;
    word = isReady ? "ready" : "loading the model";
  } catch {
    // The word says it.
  }
  byId("ready").textContent = word;
  byId("ready").classList.toggle("is-ready", isReady);
  setTimeout(pollReady, READY_POLL_MS);
}

addShapes();
byId("key").value = sessionStorage.getItem(KEY_ITEM) ?? "";
byId("key").addEventListener("input", () => sessionStorage.setItem(KEY_ITEM, byId("key").value));
byId("clear-seed").addEventListener("click", () => { byId("seed").value = ""; });
byId("cancel").addEventListener("click", () => running?.abort());
byId("form").addEventListener("input", showFields);
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  generate();
});
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
});
showFields();
pollReady();
