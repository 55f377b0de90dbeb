// The picture to edit, and over it a mask that a brush paints.

const OVERLAY = "#e4572e";
const KEY_STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const byId = (id) => document.getElementById(id);
const canvas = byId("mask");

let source = null;
let strokes = [];
let isPainting = false;
let cursor = [0, 0];

// What is edited, or null: its file, and how the file is called.
export function currentSource() {
  return source;
}

// Resolves when the picture is shown; rejects when the browser cannot read it.
export async function showSource(blob, name) {
  const image = byId("source");
  removeSource();
  image.src = URL.createObjectURL(blob);
  try {
    await image.decode();
  } catch {
    removeSource();
    throw new Error(`${name} is not a picture that can be shown.`);
  }
  source = { blob, name };
  // The mask has the picture's own pixels, turned as its camera was held.
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  cursor = [canvas.width / 2, canvas.height / 2];
  byId("easel").hidden = false;
  clearMask();
}

export function removeSource() {
  source = null;
  strokes = [];
  URL.revokeObjectURL(byId("source").src);
  byId("source").removeAttribute("src");
  byId("easel").hidden = true;
}

// A PNG that is transparent where the picture is to change; null when nothing is painted.
export function maskBlob() {
  if (!strokes.length) return null;
  const file = new OffscreenCanvas(canvas.width, canvas.height);
  const context = file.getContext("2d");
  context.fillRect(0, 0, file.width, file.height);
  context.globalCompositeOperation = "destination-out";
  for (const stroke of strokes) paint(context, stroke);
  return file.convertToBlob({ type: "image/png" });
}

function paint(context, { width, points }) {
  const [first, ...others] = points;
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  context.beginPath();
  context.arc(...first, width / 2, 0, 2 * Math.PI);
  context.fill();
  context.beginPath();
  context.moveTo(...first);
  for (const point of others) context.lineTo(...point);
  context.stroke();
}

function overlay() {
  const context = canvas.getContext("2d");
  Object.assign(context, { fillStyle: OVERLAY, strokeStyle: OVERLAY });
  return context;
}

function redraw() {
  const context = overlay();
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const stroke of strokes) paint(context, stroke);
  showStatus();
}

function showStatus() {
  byId("undo").disabled = byId("clear-mask").disabled = !strokes.length;
  byId("mask-status").textContent = strokes.length
    ? "Only what is painted changes."
    : "Nothing is painted: all of the picture changes.";
}

function brushWidth() {
  return Math.max(1, (Number(byId("brush").value) / 100) * Math.min(canvas.width, canvas.height));
}

function begin(point) {
  const stroke = { width: brushWidth(), points: [point] };
  strokes.push(stroke);
  paint(overlay(), stroke);
  showStatus();
}

function extend(point) {
  const { width, points } = strokes.at(-1);
  paint(overlay(), { width, points: [points.at(-1), point] });
  points.push(point);
}

function undo() {
  strokes.pop();
  redraw();
}

function clearMask() {
  strokes = [];
  redraw();
}

function showCursor(point) {
  cursor = point;
  byId("cursor").hidden = false;
  Object.assign(byId("cursor").style, {
    left: `${(100 * point[0]) / canvas.width}%`,
    top: `${(100 * point[1]) / canvas.height}%`,
    width: `${(100 * brushWidth()) / canvas.width}%`,
  });
}

function pointOf(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * canvas.width,
    ((event.clientY - box.top) / box.height) * canvas.height,
  ];
}

function onKey(event) {
  const step = KEY_STEPS[event.key];
  if (step) {
    if (event.shiftKey) begin(cursor);
    showCursor(moved(step));
    if (event.shiftKey) extend(cursor);
  } else if (event.key === " ") {
    begin(cursor);
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
    undo();
  } else {
    return;
  }
  event.preventDefault();
}

function moved([right, down]) {
  const length = brushWidth() / 2;
  const within = (number, most) => Math.min(Math.max(number, 0), most);
  return [
    within(cursor[0] + right * length, canvas.width),
    within(cursor[1] + down * length, canvas.height),
  ];
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  isPainting = true;
  begin(pointOf(event));
});
canvas.addEventListener("pointermove", (event) => {
  showCursor(pointOf(event));
  if (isPainting) for (const each of event.getCoalescedEvents()) extend(pointOf(each));
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, () => { isPainting = false; });
}
canvas.addEventListener("pointerleave", () => { byId("cursor").hidden = true; });
canvas.addEventListener("focus", () => {
  if (canvas.matches(":focus-visible")) showCursor(cursor);
});
canvas.addEventListener("blur", () => { byId("cursor").hidden = true; });
canvas.addEventListener("keydown", onKey);
byId("undo").addEventListener("click", undo);
byId("clear-mask").addEventListener("click", clearMask);
