// Loss curve (inline SVG) and result table.

/** Build an element: h("div", {class: "x", onclick: f}, child, "text", ...). */
function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "g", "line", "text", "circle", "rect"].includes(tag);
  const node = svg ? document.createElementNS(SVG_NAMESPACE, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const SVG_NAMESPACE = document.querySelector("svg").namespaceURI; // of the logo: no address in the code
const LINE_COLOURS = ["#5cc8ff", "#ffb454", "#7ee787", "#ff7b9c", "#c297ff", "#f2e863", "#7fd1ae", "#ff9b71"];

const shortNumber = (v) => (v === 0 ? "0" : Math.abs(v) >= 1e5 || Math.abs(v) < 1e-3 ? v.toExponential(1) : String(+v.toPrecision(3)));

/** Steps of 1, 2 or 5 times a power of ten that divide [low, high] into about n parts. */
function niceTicks(low, high, n) {
  const raw = (high - low || 1) / n, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw - 1e-12);
  const ticks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) ticks.push(+v.toPrecision(12));
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const m of [1, 2, 5]) if (m * 10 ** e >= low && m * 10 ** e <= high) ticks.push(m * 10 ** e);
  }
  return ticks;
}

/** Exponential moving average without bias at the start; gaps stay gaps. */
function smooth(values, weight) {
  let sum = 0, norm = 0;
  return values.map((v) => {
    if (v === null) return null;
    sum = weight * sum + (1 - weight) * v;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}

class CurveChart {
  constructor(root, curve) {
    this.curve = curve;
    this.names = Object.keys(curve.values);
    const total = this.names.filter((name) => name === "loss");
    this.shown = new Set(total.length ? total : this.names);
    this.log = false;
    const points = curve.position.length;
    this.weight = points > 40 ? Math.exp(-40 / points) : 0;
    this.picture = h("div", { class: "chart" });
    this.chips = h("div", { class: "chips" });
    this.readout = h("div", { class: "readout" });
    root.append(this.chips, this.picture, this.readout);
    this.drawChips();
    this.draw();
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  colour(name) { return LINE_COLOURS[this.names.indexOf(name) % LINE_COLOURS.length]; }

  drawChips() {
    const chip = (text, on, colour, action) => h("button", { class: "chip", "aria-pressed": String(on), style: colour && `--c:${colour}`, onclick: action }, text);
    this.chips.replaceChildren(
      ...this.names.map((name) => chip(name, this.shown.has(name), this.colour(name), () => {
        if (!this.shown.delete(name)) this.shown.add(name);
        this.drawChips();
        this.draw();
      })),
      chip("log scale", this.log, null, () => { this.log = !this.log; this.drawChips(); this.draw(); }),
    );
  }

  draw() {
    const width = Math.max(this.picture.clientWidth, 220), height = 210;
    const box = { left: 44, right: width - 10, top: 10, bottom: height - 30 };
    const { position, unit } = this.curve;
    const lines = [...this.shown].map((name) => ({ name, raw: this.curve.values[name], mean: smooth(this.curve.values[name], this.weight) }));
    const values = lines.flatMap((line) => line.raw).filter((v) => v !== null && (!this.log || v > 0)).sort((a, b) => a - b);
    if (!values.length) { this.picture.replaceChildren(h("p", { class: "muted" }, "Nothing selected.")); return; }
    let low = this.log ? values[0] : Math.min(0, values[0]), high = values[Math.min(values.length - 1, Math.ceil(values.length * 0.998))];
    if (low === high) high = low + 1;
    const f = this.log ? Math.log10 : (v) => v;
    const x = (v) => box.left + (box.right - box.left) * (v - position[0]) / (position[position.length - 1] - position[0] || 1);
    const y = (v) => box.bottom - (box.bottom - box.top) * (f(v) - f(low)) / (f(high) - f(low));
    const path = (series) => {
      let pen = "M", out = "";
      series.forEach((v, i) => {
        if (v === null || (this.log && v <= 0)) { pen = "M"; return; }
        out += `${pen}${x(position[i]).toFixed(1)} ${Math.max(y(v), box.top).toFixed(1)}`;
        pen = "L";
      });
      return out;
    };
    const svg = h("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": "training curve" });
    for (const v of this.log ? logTicks(low, high) : niceTicks(low, high, 4)) {
      svg.append(h("line", { class: "rule", x1: box.left, x2: box.right, y1: y(v), y2: y(v) }), h("text", { x: box.left - 6, y: y(v) + 4, "text-anchor": "end" }, shortNumber(v)));
    }
    for (const v of niceTicks(position[0], position[position.length - 1], 4)) {
      svg.append(h("text", { x: x(v), y: box.bottom + 16, "text-anchor": "middle" }, String(v)));
    }
    svg.append(h("text", { x: box.right, y: height - 2, "text-anchor": "end", class: "axis" }, unit === "samples" ? "samples seen" : unit));
    for (const line of lines) {
      if (this.weight) svg.append(h("path", { d: path(line.raw), stroke: this.colour(line.name), class: "raw" }));
      svg.append(h("path", { d: path(line.mean), stroke: this.colour(line.name), class: "mean" }));
    }
    const cursor = h("line", { class: "cursor", y1: box.top, y2: box.bottom, x1: -9, x2: -9 });
    svg.append(cursor);
    svg.addEventListener("pointermove", (event) => {
      const at = (event.clientX - svg.getBoundingClientRect().left) * width / svg.clientWidth;
      let best = 0;
      position.forEach((p, i) => { if (Math.abs(x(p) - at) < Math.abs(x(position[best]) - at)) best = i; });
      cursor.setAttribute("x1", x(position[best]));
      cursor.setAttribute("x2", x(position[best]));
      this.read(best, lines);
    });
    this.picture.replaceChildren(svg);
    this.read(position.length - 1, lines);
  }

  read(i, lines) {
    this.readout.replaceChildren(
      h("span", { class: "muted" }, `${this.curve.unit} ${this.curve.position[i]}`),
      ...lines.map((line) => h("span", {}, h("i", { style: `background:${this.colour(line.name)}` }), `${line.name} ${line.mean[i] === null ? "–" : shortNumber(line.mean[i])}`)),
    );
  }
}

/** Metrics down, runs across; the best value of a metric stands out when there are several runs. */
function resultTable(rows) {
  const metrics = [...new Set(rows.flatMap((row) => Object.keys(row.metrics)))];
  const head = h("tr", {}, h("th", {}, "metric"), ...rows.map((row) => h("th", { scope: "col" }, row.name.replaceAll("_", " "))));
  const body = metrics.map((metric) => {
    const isError = metric.includes("AVE"); // metres per second, lower is better; all others are shares
    const values = rows.map((row) => row.metrics[metric] ?? null);
    const known = values.filter((v) => v !== null);
    const best = known.length > 1 ? (isError ? Math.min : Math.max)(...known) : null;
    const cells = values.map((v) => h("td", { class: v !== null && v === best && "best" }, v === null ? "–" : (isError ? v : 100 * v).toFixed(2)));
    return h("tr", {}, h("th", { scope: "row" }, metric, h("small", {}, isError ? " m/s" : " %")), ...cells);
  });
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, head), h("tbody", {}, ...body)));
}
