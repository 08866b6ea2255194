// The page: state, controls, and what each shows.

const report = JSON.parse(document.getElementById("report-data").textContent);
const $ = (id) => document.getElementById(id);
const { space, grid, scenes, status } = report;
const KINDS = [
  { key: "truth", name: "Ground truth", palette: space.palette },
  { key: "prediction", name: "Prediction", palette: space.palette },
  { key: "difference", name: "Difference", palette: status.palette },
];
const state = {
  scene: 0, frame: 0, mode: "all", playing: false, volumes: null, preset: "bird",
  filter: { observedOnly: false, hidden: new Set(), hiddenStatus: new Set() },
};
const camera = new OrbitCamera();
const decoded = new Map(); // "scene/frame" -> promise of volumes; least recently used first
const DECODED_BYTES = 3e8;
let renderer, panes = [], pointer = null, redrawAsked = false;

// --- data ---

const frames = () => scenes[state.scene].frames;

function volumesOf(scene, frame) {
  const key = `${scene}/${frame}`;
  const found = decoded.get(key) || decodeFrame(scenes[scene].frames[frame]);
  decoded.delete(key);
  decoded.set(key, found);
  const limit = Math.max(3, Math.floor(DECODED_BYTES / (2.2 * grid.shape[0] * grid.shape[1] * grid.shape[2])));
  while (decoded.size > limit) decoded.delete(decoded.keys().next().value);
  return found;
}

async function showFrame(scene, frame) {
  state.scene = (scene + scenes.length) % scenes.length;
  state.frame = (frame + frames().length) % frames().length;
  const wanted = `${state.scene}/${state.frame}`;
  drawTimeline();
  drawCameras();
  $("busy").classList.add("on");
  const volumes = await volumesOf(state.scene, state.frame);
  if (wanted !== `${state.scene}/${state.frame}`) return; // overtaken by a later request
  state.volumes = volumes;
  $("busy").classList.remove("on");
  rebuild();
  if (frames().length > 1) volumesOf(state.scene, (state.frame + 1) % frames().length);
}

/** After a change of frame, mode, mask or legend: new meshes, new legend. */
function rebuild() {
  if (!state.volumes) return;
  for (const pane of panes) {
    if (!pane.shown) continue;
    pane.cells = selectVoxels(state.volumes, pane.key, state.filter, space, grid.shape);
    const instances = surfaceInstances(pane.cells, grid.shape);
    renderer.upload(pane.mesh, pane.cells, instances);
    pane.count.textContent = `${instances.count.toLocaleString("en")} voxels`;
    document.documentElement.dataset[`${pane.key}Voxels`] = instances.count;
  }
  drawLegend();
  redraw();
}

// --- canvas ---

function layout() {
  const canvas = $("canvas"), width = canvas.clientWidth, height = canvas.clientHeight;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const pixels = [width, height].map((v) => Math.round(v * ratio)), resized = canvas.width !== pixels[0] || canvas.height !== pixels[1];
  if (resized) [canvas.width, canvas.height] = pixels;
  const shown = panes.filter((pane) => pane.shown);
  arrange(shown.length, width, height).forEach((box, i) => {
    const pane = Object.assign(shown[i], box);
    Object.assign(pane.label.style, { left: `${pane.x + 12}px`, top: `${pane.y + 12}px` });
    Object.assign(pane.frame.style, { left: `${pane.x}px`, top: `${pane.y}px`, width: `${pane.width}px`, height: `${pane.height}px` });
  });
  panes.forEach((pane) => { pane.label.hidden = pane.frame.hidden = !pane.shown; });
  if (state.preset) lookFrom(state.preset); // panes of another shape, unless the user has moved the camera
  if (resized) draw(); // at once: resizing has cleared the canvas
  else redraw();
}

/** Rectangles of one or three panes: in a row, two above one, or in a column, whichever shows the map (1.3 : 1 in
 * perspective) largest; a row may lose a little, it compares best. */
function arrange(count, width, height) {
  if (count === 1) return [{ x: 0, y: 0, width, height }];
  const w = Math.floor(width / 2), h = Math.floor(height / 2), third = Math.floor(width / 3), low = Math.floor(height / 3);
  const choices = [
    { side: Math.min(third, 1.3 * height) * 1.1, boxes: [0, 1, 2].map((i) => ({ x: i * third, y: 0, width: i < 2 ? third : width - 2 * third, height })) },
    { side: Math.min(w, 1.3 * h), boxes: [{ x: 0, y: 0, width: w, height: h }, { x: w, y: 0, width: width - w, height: h }, { x: 0, y: h, width, height: height - h }] },
    { side: Math.min(width, 1.3 * low), boxes: [0, 1, 2].map((i) => ({ x: 0, y: i * low, width, height: i < 2 ? low : height - 2 * low })) },
  ];
  return choices.sort((a, b) => b.side - a.side)[0].boxes;
}

function redraw() {
  if (redrawAsked) return;
  redrawAsked = true;
  requestAnimationFrame(draw);
}

function draw() {
  redrawAsked = false;
  hover();
  renderer.draw(panes.filter((pane) => pane.shown), camera);
  if (state.volumes) document.documentElement.dataset.state = "ready";
}

/** What is under the pointer: highlighted in every pane, described in the tooltip. */
function hover() {
  const tooltip = $("tooltip");
  panes.forEach((pane) => { pane.picked = null; });
  const pane = pointer && panes.find((p) => p.shown && p.cells && pointer.x >= p.x && pointer.x < p.x + p.width && pointer.y >= p.y && pointer.y < p.y + p.height);
  const cell = pane && pickAt(pane);
  tooltip.hidden = !cell;
  if (!cell) return;
  panes.forEach((p) => { p.picked = cell; });
  const [nx, ny] = grid.shape, i = (cell[2] * ny + cell[1]) * nx + cell[0];
  const { truth, prediction, mask } = state.volumes;
  const describe = (name, id) => h("div", {}, h("span", { class: "muted" }, `${name}  `), h("i", { style: `--c:${id === space.free || id === space.ignore ? "#333c49" : rgb(space.palette[id])}` }), id === space.ignore ? "not labelled" : space.classes[id]);
  const metres = cell.map((c, a) => (grid.lower[a] + (c + 0.5) * grid.size[a]).toFixed(1));
  tooltip.replaceChildren(
    describe("truth", truth[i]), describe("prediction", prediction[i]),
    h("div", { class: "muted" }, `x ${metres[0]}  y ${metres[1]}  z ${metres[2]} m${mask ? (mask[i >> 3] >> (i & 7) & 1 ? " · camera-visible" : " · not observed") : ""}`),
  );
  const box = $("view").getBoundingClientRect();
  tooltip.style.left = `${Math.min(pointer.x + 16, box.width - tooltip.offsetWidth - 8)}px`;
  tooltip.style.top = `${Math.min(pointer.y + 16, box.height - tooltip.offsetHeight - 8)}px`;
}

function pickAt(pane) {
  const ray = camera.ray(2 * (pointer.x - pane.x) / pane.width - 1, 1 - 2 * (pointer.y - pane.y) / pane.height, pane.width / pane.height);
  const origin = camera.eye.map((e, a) => (e - grid.lower[a]) / grid.size[a]);
  return pickVoxel(pane.cells, grid.shape, origin, ray.map((r, a) => r / grid.size[a]));
}

function lookFrom(preset) {
  const ahead = report.forward, c = Math.cos(ahead), s = Math.sin(ahead);
  const shown = panes.filter((p) => p.shown), narrow = shown[0].width < 0.75 * shown[0].height;
  state.preset = preset;
  if (preset === "chase") {
    camera.set({ target: [7 * c, 7 * s, 0], distance: 27, azimuth: ahead + Math.PI, elevation: 0.36 });
  } else {
    const middle = [0, 1].map((a) => (grid.lower[a] + grid.upper[a]) / 2), reach = grid.upper[0] - grid.lower[0];
    const back = narrow ? 0.01 : 0.045; // the near edge is the wide one: look a little towards it
    camera.set({ target: [middle[0] - back * reach * c, middle[1] - back * reach * s, 0], distance: 0.8 * reach, azimuth: ahead + Math.PI, elevation: narrow ? 1.22 : 0.95 });
    while (!shown.every((pane) => gridFits(pane)) && camera.distance < 4 * reach) camera.distance *= 1.02;
  }
  redraw();
}

/** Whether the outline of the grid lies inside of a pane. */
function gridFits(pane) {
  const m = camera.clipFromWorld(pane.width / pane.height);
  return [0, 1, 2, 3].every((k) => {
    const p = [k & 1 ? grid.upper[0] : grid.lower[0], k & 2 ? grid.upper[1] : grid.lower[1], grid.lower[2], 1];
    const [x, y, w] = [0, 1, 3].map((r) => p.reduce((sum, v, i) => sum + m[4 * i + r] * v, 0));
    return Math.abs(x) < 0.98 * w && Math.abs(y) < 0.98 * w;
  });
}

// --- panels ---

const rgb = (colour) => `rgb(${colour.join(",")})`;

function setMode(mode) {
  state.mode = mode;
  panes.forEach((pane) => { pane.shown = mode === "all" || mode === pane.key; });
  for (const button of $("modes").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  layout();
  rebuild();
}

function setObserved(on) {
  state.filter.observedOnly = on;
  $("observed").setAttribute("aria-pressed", String(on));
  rebuild();
}

function toggle(set, id, all, alone) {
  if (alone) { const wasAlone = set.size === all.length - 1 && !set.has(id); set.clear(); if (!wasAlone) all.forEach((other) => other !== id && set.add(other)); }
  else if (!set.delete(id)) set.add(id);
  rebuild();
}

function entry(name, colour, first, second, hidden, absent, onclick, ondblclick) {
  return h("button", { class: `entry${hidden ? " hidden" : ""}${absent ? " absent" : ""}`, "aria-pressed": null, title: name, onclick, ondblclick },
    h("i", { style: `--c:${rgb(colour)}` }), h("span", {}, name), h("b", {}, first), h("b", {}, second));
}

function drawLegend() {
  const counts = countVoxels(state.volumes, state.filter.observedOnly, space);
  const ids = space.classes.map((_, id) => id).filter((id) => id !== space.free);
  const { hidden, hiddenStatus } = state.filter;
  const percent = (a, b) => (b ? (100 * a / b).toFixed(0) : "–");
  const compact = (n) => (n >= 10000 ? `${(n / 1000).toFixed(0)}k` : n >= 1000 ? `${(n / 1000).toFixed(1)}k` : n ? String(n) : "–");
  const classes = ids.map((id) => {
    const union = counts.truth[id] + counts.prediction[id] - counts.both[id];
    return entry(space.classes[id].replaceAll("_", " "), space.palette[id], compact(counts.truth[id]), percent(counts.both[id], union),
      hidden.has(id), !union, (event) => event.detail < 2 && toggle(hidden, id, ids, false), () => toggle(hidden, id, ids, true));
  });
  const total = counts.status.reduce((a, b) => a + b, 0);
  const all = status.names.map((_, i) => i);
  const parts = status.names.map((name, i) => entry(name, status.palette[i], compact(counts.status[i]), percent(counts.status[i], total),
    hiddenStatus.has(i), !counts.status[i], (event) => event.detail < 2 && toggle(hiddenStatus, i, all, false), () => toggle(hiddenStatus, i, all, true)));
  const head = (text, set, every) => h("div", { class: "head" }, h("h2", {}, text),
    h("button", { onclick: () => { set.clear(); rebuild(); } }, "all"), h("button", { onclick: () => { every.forEach((id) => set.add(id)); rebuild(); } }, "none"));
  const columns = (a, b) => h("div", { class: "columns" }, h("span"), h("span", {}, a), h("span", {}, b));
  $("legend").replaceChildren(
    head("Classes", hidden, ids), columns("true voxels", "IoU %"), ...classes,
    h("p", { class: "note" }, `This frame, ${state.filter.observedOnly ? "camera-visible" : "all"} voxels.`),
    head("Difference", hiddenStatus, all), columns("voxels", "%"), ...parts,
    h("p", { class: "note" }, "Hallucinated: predicted where the truth is free. Without the mask this includes space that nobody observed."),
  );
}

function drawTimeline() {
  const list = frames();
  $("scene").value = state.scene;
  $("slider").max = list.length - 1;
  $("slider").value = state.frame;
  if ($("ticks").children.length !== list.length) $("ticks").replaceChildren(...list.map(() => h("i")));
  $("counter").textContent = `${state.frame + 1} / ${list.length}`;
  $("token").textContent = list[state.frame].token;
  history.replaceState(null, "", `#scene=${state.scene}&frame=${state.frame}`);
}

const shortName = (name) => name.replace(/^CAM_/, "").replaceAll("_", " ").toLowerCase();

function drawCameras() {
  const images = frames()[state.frame].images, root = $("cameras"), list = root.querySelector(".grid");
  root.hidden = !images.length;
  if (list.children.length !== images.length) {
    list.replaceChildren(...images.map(() => h("figure", {}, h("img", { alt: "" }), h("figcaption"))));
    [...list.children].forEach((figure, i) => figure.addEventListener("click", () => enlarge(i)));
  }
  images.forEach(([name, jpeg], i) => {
    const [img, caption] = list.children[i].children;
    img.src = `data:image/jpeg;base64,${jpeg}`;
    img.alt = name;
    caption.textContent = shortName(name);
    img.onload = () => list.style.setProperty("--ratio", `${img.naturalWidth} / ${img.naturalHeight}`);
  });
}

function enlarge(i) {
  const [name, jpeg] = frames()[state.frame].images[i], box = $("lightbox");
  box.querySelector("img").src = `data:image/jpeg;base64,${jpeg}`;
  box.querySelector("p").textContent = `${name} · ${scenes[state.scene].name} · ${frames()[state.frame].token}`;
  box.showModal();
}

// --- playing ---

function play(on) {
  state.playing = on;
  $("play").textContent = on ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  clearInterval(play.timer);
  if (on) play.timer = setInterval(() => showFrame(state.scene, state.frame + 1), 1000 / Number($("speed").value));
}

// --- input ---

function listenPointer() {
  const canvas = $("canvas"), active = new Map();
  const at = (event) => { const box = canvas.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    active.set(event.pointerId, { ...at(event), pan: event.button === 2 || event.button === 1 || event.shiftKey });
    pointer = null;
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event), last = active.get(event.pointerId);
    if (!last) { pointer = event.pointerType === "mouse" ? now : null; redraw(); return; }
    const dx = now.x - last.x, dy = now.y - last.y, unit = panes.find((p) => p.shown).height;
    if (active.size === 1) {
      if (last.pan) camera.pan(-dx / unit, dy / unit);
      else camera.rotate(dx * 2.6 / unit, dy * 2.6 / unit);
    } else if (active.size === 2) {
      const other = [...active].find(([id]) => id !== event.pointerId)[1];
      const spread = (p) => Math.hypot(p.x - other.x, p.y - other.y);
      camera.zoom(spread(last) / Math.max(spread(now), 1));
      camera.pan(-dx / unit / 2, dy / unit / 2);
    }
    Object.assign(last, now);
    state.preset = null;
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => active.delete(event.pointerId));
  canvas.addEventListener("pointerleave", () => { pointer = null; redraw(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    camera.zoom(Math.exp(event.deltaY * (event.deltaMode ? 0.03 : 0.0011)));
    state.preset = null;
    redraw();
  }, { passive: false });
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}

const KEYS = {
  " ": () => play(!state.playing),
  ArrowLeft: () => { play(false); showFrame(state.scene, state.frame - 1); },
  ArrowRight: () => { play(false); showFrame(state.scene, state.frame + 1); },
  "[": () => showFrame(state.scene - 1, 0), "]": () => showFrame(state.scene + 1, 0),
  1: () => setMode("truth"), 2: () => setMode("prediction"), 3: () => setMode("difference"), 4: () => setMode("all"), s: () => setMode("all"),
  m: () => !$("observed").disabled && setObserved(!state.filter.observedOnly),
  b: () => lookFrom("bird"), c: () => lookFrom("chase"),
  l: () => document.body.classList.toggle("no-legend"), i: () => document.body.classList.toggle("no-side"),
  a: () => { state.filter.hidden.clear(); state.filter.hiddenStatus.clear(); rebuild(); },
  f: fullscreen, "?": () => $("shortcuts").showModal(),
};

function listen() {
  $("scene").onchange = () => showFrame(Number($("scene").value), 0);
  $("slider").oninput = () => { play(false); showFrame(state.scene, Number($("slider").value)); };
  $("previous").onclick = KEYS.ArrowLeft;
  $("next").onclick = KEYS.ArrowRight;
  $("play").onclick = KEYS[" "];
  $("speed").onchange = () => play(state.playing);
  $("bird").onclick = KEYS.b;
  $("chase").onclick = KEYS.c;
  $("observed").onclick = KEYS.m;
  $("help").onclick = KEYS["?"];
  $("fullscreen").onclick = fullscreen;
  for (const id of ["lightbox", "shortcuts"]) $(id).onclick = (event) => (id === "lightbox" || event.target === $(id)) && $(id).close();
  document.addEventListener("keydown", (event) => {
    const typing = ["SELECT", "TEXTAREA"].includes(event.target.tagName) || (event.target.tagName === "INPUT" && event.key.startsWith("Arrow"));
    const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (event.target.tagName === "BUTTON") event.target.blur();
    action();
  });
  listenPointer();
  new ResizeObserver(layout).observe($("view"));
}

function fail(error) {
  document.documentElement.dataset.state = "failed";
  $("busy").className = "failed";
  $("busy").textContent = error.message || String(error);
  console.error(error);
}

function start() {
  if (!("DecompressionStream" in window)) throw new Error("This browser is too old: it cannot decompress the embedded voxels (Chrome 80, Firefox 113, Safari 16.4 can).");
  const query = new URLSearchParams(location.hash.slice(1)), number = (key) => Math.max(0, Number(query.get(key)) || 0);
  document.title = `${report.title} · OccStudio`;
  $("title").textContent = `${report.title} · ${space.name}`;
  $("banner").hidden = !report.synthetic;
  $("scene").replaceChildren(...scenes.map((scene, i) => h("option", { value: i }, scene.name)));
  $("modes").replaceChildren(...[...KINDS, { key: "all", name: "All three" }].map(({ key, name }, i) =>
    h("button", { "data-mode": key, title: `${name} (${i + 1})`, onclick: () => setMode(key) }, name)));
  const masked = scenes.some((scene) => scene.frames.some((frame) => frame.mask));
  $("observed").disabled = $("observed").hidden = !masked;
  if (report.results) {
    $("results").hidden = false;
    $("results").append(resultTable(report.results.rows));
    $("protocol").hidden = !report.results.protocol.length;
    $("protocol").querySelector("dl").replaceChildren(...report.results.protocol.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
  }
  if (report.curve) { $("curve").hidden = false; new CurveChart($("curve"), report.curve); }
  renderer = new VoxelRenderer($("canvas"), grid, report.forward, report.egoCar);
  panes = KINDS.map((kind) => {
    const count = h("small"), label = h("span", {}, kind.name, count), frame = h("hr");
    $("labels").append(frame, label);
    return { ...kind, shown: true, label, count, frame, cells: null, picked: null, mesh: renderer.createMesh(renderer.createPalette(kind.palette)) };
  });
  listen();
  state.preset = query.get("view") === "chase" ? "chase" : "bird";
  setMode(KINDS.some((kind) => kind.key === query.get("mode")) ? query.get("mode") : "all");
  setObserved(masked && query.get("observed") === "1");
  const scene = Math.min(number("scene"), scenes.length - 1);
  showFrame(scene, Math.min(number("frame"), scenes[scene].frames.length - 1)).catch(fail);
}

window.addEventListener("error", (event) => fail(event.error || event));
window.addEventListener("unhandledrejection", (event) => fail(event.reason));
start();
