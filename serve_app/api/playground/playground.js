// The playground: one form, one list of results, and the same API that every client uses.

import { blobOf, send } from "./client.js";
import { currentSource, maskBlob, removeSource, showSource } from "./easel.js";
import { curlCommand, hasPreviews, requestOf, shape } from "./request.js";
import { addResult } from "./results.js";

// `own` is the shape of the picture to edit.
const SHAPES = [
  "own",
  "1:1", "5:4", "4:3", "3:2", "16:9", "21:9", "4:5", "3:4", "2:3", "9:16", "9:21", "pixels",
];
const SHAPE_NAMES = { own: "as is", pixels: "exact" };
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
    const [width, height] = value in SHAPE_NAMES ? [1, 1] : value.split(":").map(Number);
    icon.style.aspectRatio = `${width} / ${height}`;
    icon.className = value in SHAPE_NAMES ? "dashed" : width >= height ? "broad" : "tall";
    label.append(input, icon, SHAPE_NAMES[value] ?? value);
    byId("shapes").append(label);
  }
}

function chooseShape(value) {
  document.querySelector(`input[name=shape][value="${value}"]`).checked = true;
}

function showFields() {
  const isEdit = currentSource() !== null;
  byId("shapes").firstElementChild.hidden = !isEdit;
  byId("strength-field").hidden = !isEdit;
  byId("size-field").hidden = shape() !== "pixels";
  byId("scale-field").hidden = ["pixels", "own"].includes(shape());
  byId("previews-field").hidden = !hasPreviews();
  byId("quality-field").hidden = byId("format").value === "png";
  byId("strength-value").value = Number(byId("strength").value).toFixed(2);
  byId("steps-value").value = byId("steps").value;
  byId("guidance-value").value = Number(byId("guidance").value).toFixed(1);
  if (!running) byId("generate").textContent = isEdit ? "Edit" : "Generate";
}

async function edit(blob, name) {
  showError(null);
  try {
    await showSource(blob, name);
    chooseShape("own");
    byId("easel").scrollIntoView({ block: "nearest" });
  } catch (error) {
    forgetSource();
    showError(error.message);
  }
  showFields();
}

function forgetSource() {
  removeSource();
  byId("file").value = "";
  if (shape() === "own") chooseShape("1:1");
  showFields();
}

async function generate() {
  if (running) return;
  const key = byId("key").value.trim();
  showError(null);
  running = new AbortController();
  const stopClock = startClock();
  try {
    const request = requestOf(await sourceFiles());
    const curl = curlCommand(request, key !== "");
    addResult(await send(request, key, running.signal, showPreview), curl, edit);
  } catch (error) {
    if (error.name !== "AbortError") showError(error.message);
  } finally {
    running = null;
    stopClock();
    hidePreview();
  }
}

async function sourceFiles() {
  const source = currentSource();
  return source && { image: source.blob, name: source.name, mask: await maskBlob() };
}

function showPreview(event, numPreviews) {
  const image = byId("preview").querySelector("img");
  const url = URL.createObjectURL(blobOf(event.b64_json, `image/${event.output_format}`));
  URL.revokeObjectURL(image.src);
  const [width, height] = event.size.split("x").map(Number);
  Object.assign(image, { src: url, width, height });
  const words = `Preview ${event.partial_image_index + 1} of ${numPreviews}`;
  byId("preview").querySelector("figcaption").textContent = words;
  byId("preview").hidden = false;
}

function hidePreview() {
  const image = byId("preview").querySelector("img");
  byId("preview").hidden = true;
  URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
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
byId("file").addEventListener("change", () => {
  const [file] = byId("file").files;
  if (file) edit(file, file.name);
});
byId("remove-source").addEventListener("click", forgetSource);
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
