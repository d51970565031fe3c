// Draws figures, hotspot and density over the slide: once per animation frame, crisp at any zoom.
import { BOTH, LABELS, verdict } from "./comparison.js";
import { ADDED, CONFIRMED, OPEN, REJECTED } from "./figures.js";

// The same in light and dark mode, because the slide is; each kind has its own shape too.
const COLOURS = { mitotic: "#0b57d0", settled: "#0a7a35", negative: "#b34700", labels: "#8a0f7e", second: "#00696f", rejected: "#33363f" };
const MANY = 3000; // more than these in view are drawn as dots, straight into pixels
const FIGURE_UM = 12.5;
const NAMED_PX = 15; // least radius of a mark beside which it is written that only one side has it

export class Overlay {
  #frame = 0;

  constructor(canvas, viewer, state, measure) {
    Object.assign(this, { canvas, viewer, state, measure });
    this.context = canvas.getContext("2d");
    this.hotspot = null;
    this.density = null;
    this.frames = []; // durations of the last draws in ms, for measuring
    this.colours = Object.fromEntries(Object.entries(COLOURS).map(([k, v]) => [k, abgr(v)]));
    const soon = () => this.redraw();
    for (const event of ["update-viewport", "animation", "animation-finish", "resize", "open"]) viewer.addHandler(event, soon);
    new ResizeObserver(soon).observe(canvas);
  }

  redraw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => { this.#frame = 0; this.draw(); });
  }

  // Returns how slide pixels become CSS pixels, but for the rotation: x * scale + left.
  transform() {
    const { slide } = this.state;
    const size = this.viewer.viewport.getContainerSize();
    const scale = (this.viewer.viewport.getZoom(true) * size.x) / slide.width_px;
    const centre = this.viewer.viewport.getCenter(true);
    return { scale, left: size.x / 2 - centre.x * slide.width_px * scale, top: size.y / 2 - centre.y * slide.width_px * scale, width: size.x, height: size.y, angle: (this.viewer.viewport.getRotation(true) * Math.PI) / 180 };
  }

  draw() {
    const began = performance.now();
    const { canvas, context, state } = this;
    if (!state.slide || !state.figures || !this.viewer.viewport) return;
    const ratio = devicePixelRatio || 1;
    const view = this.transform();
    const width = Math.round(view.width * ratio), height = Math.round(view.height * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!state.hidden) {
      const seen = this.#seen(view);
      if (seen.length > MANY) this.#dots(seen, view, ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.translate(view.width / 2, view.height / 2);
      context.rotate(view.angle);
      context.translate(-view.width / 2, -view.height / 2);
      if (this.density && state.showDensity) this.#density(view);
      if (seen.length <= MANY) this.#symbols(seen, view);
      if (this.hotspot && state.showHotspot) this.#hotspot(view);
      if (state.current >= 0) this.#ring(state.current, view);
      for (const shape of this.measure.shapes()) this.#measured(shape, view);
    }
    this.onview?.(view);
    this.frames.push(performance.now() - began);
    if (this.frames.length > 600) this.frames.shift();
  }

  #seen({ scale, left, top, width, height }) {
    const seen = [];
    const [x1, y1, x2, y2] = this.#box({ scale, left, top, width, height }, 30);
    this.state.figures.within(x1, y1, x2, y2, (i) => {
      if (this.state.visible(i)) seen.push(i);
    });
    return seen;
  }

  // The part of the slide in view, in px of the slide; a square around it when it is rotated.
  #box({ scale, left, top, width, height }, margin) {
    const around = this.viewer.viewport.getRotation(true) % 360 ? Math.hypot(width, height) / 2 : 0;
    const [halfX, halfY] = [around || width / 2, around || height / 2].map((v) => v + margin);
    const [x, y] = [(width / 2 - left) / scale, (height / 2 - top) / scale];
    return [x - halfX / scale, y - halfY / scale, x + halfX / scale, y + halfY / scale];
  }

  inView() {
    return this.#box(this.transform(), 0);
  }

  #kind(i) {
    const { figures } = this.state;
    if (verdict(this.state, i) === REJECTED) return "rejected";
    if (figures.source[i] !== figures.reviewed) return figures.source[i] === LABELS ? "labels" : "second";
    if (figures.now[i] === 1) return "negative";
    return figures.state[i] === OPEN ? "mitotic" : "settled";
  }

  #dots(seen, { scale, left, top, angle, width: wide, height: tall }, ratio) {
    const { width, height } = this.canvas;
    const picture = this.context.createImageData(width, height);
    const pixels = new Uint32Array(picture.data.buffer);
    const { x, y } = this.state.figures;
    // Fewer pixels each where there are very many, so that density can still be seen.
    const half = seen.length > 12000 ? Math.max(0, Math.round(ratio) - 1) : Math.max(1, Math.round(ratio));
    const more = seen.length > 12000 ? 1 : 0;
    const cos = Math.cos(angle), sin = Math.sin(angle);
    for (const i of seen) {
      const colour = this.colours[this.#kind(i)];
      const dx = x[i] * scale + left - wide / 2, dy = y[i] * scale + top - tall / 2;
      const cx = Math.round((dx * cos - dy * sin + wide / 2) * ratio), cy = Math.round((dx * sin + dy * cos + tall / 2) * ratio);
      const x1 = Math.max(0, cx - half), x2 = Math.min(width - 1, cx + half + more);
      for (let py = Math.max(0, cy - half); py <= Math.min(height - 1, cy + half + more); py++)
        for (let px = x1; px <= x2; px++) pixels[py * width + px] = colour;
    }
    this.context.putImageData(picture, 0, 0);
  }

  #symbols(seen, { scale, left, top }) {
    const { figures, slide } = this.state;
    const radius = Math.min(48, Math.max(4.5, (FIGURE_UM / slide.mpp) * scale));
    const groups = new Map();
    for (const i of seen) {
      const key = this.#kind(i);
      if (!groups.has(key)) groups.set(key, new Path2D());
      const path = groups.get(key);
      symbol(path, key, figures.state[i], figures.x[i] * scale + left, figures.y[i] * scale + top, radius);
    }
    for (const [key, path] of groups) this.#stroke(path, COLOURS[key], 2);
    if (radius >= NAMED_PX) this.#sides(seen, { scale, left, top }, radius);
  }

  // Writes below the marks of figures which side of the comparison has them, where only one has.
  #sides(seen, { scale, left, top }, radius) {
    const { comparison, figures } = this.state;
    if (!comparison) return;
    const taken = [];
    for (const i of seen) {
      const kind = comparison.kinds.get(i);
      if (!kind || kind === BOTH) continue;
      const words = comparison.words[kind], x = figures.x[i] * scale + left, y = figures.y[i] * scale + top + radius * 1.3 + 12;
      if (taken.some(([tx, ty]) => Math.abs(tx - x) < 130 && Math.abs(ty - y) < 18)) continue; // one text over another cannot be read
      taken.push([x, y]);
      this.#text(words.length > 22 ? `${words.slice(0, 21)}…` : words, x, y, { size: 11, centred: true });
    }
  }

  #stroke(path, colour, width, dash = []) {
    const { context } = this;
    context.setLineDash(dash);
    context.lineWidth = width + 2;
    context.strokeStyle = "#ffffffd9"; // a pale rim keeps marks legible on dark nuclei
    context.stroke(path);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke(path);
    context.setLineDash([]);
  }

  #ring(i, { scale, left, top }) {
    const { figures, slide } = this.state;
    const radius = Math.min(64, Math.max(9, (1.5 * FIGURE_UM / slide.mpp) * scale));
    const x = figures.x[i] * scale + left, y = figures.y[i] * scale + top;
    const path = new Path2D();
    for (let quarter = 0; quarter < 4; quarter++) {
      const from = (quarter * Math.PI) / 2 + 0.3;
      path.moveTo(x + radius * Math.cos(from), y + radius * Math.sin(from));
      path.arc(x, y, radius, from, from + Math.PI / 2 - 0.6);
    }
    this.#stroke(path, "#000", 2.5);
  }

  #hotspot({ scale, left, top }) {
    const { kind, box, count } = this.hotspot;
    const [x1, y1, x2, y2] = [box[0] * scale + left, box[1] * scale + top, box[2] * scale + left, box[3] * scale + top];
    const path = new Path2D();
    if (kind === "circle") path.ellipse((x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2, 0, 0, 2 * Math.PI);
    else path.rect(x1, y1, x2 - x1, y2 - y1);
    this.#stroke(path, "#111", 2, [9, 6]);
    if (y1 < 0 && x1 < 0) return; // no corner in view to write at
    const below = document.querySelector(".tools").offsetHeight + 26; // of the tools: they would cover it
    const ty = y1 - 8 < below ? Math.max(below + 6, y1 + 20) : y1 - 8;
    this.#text(`${count} in the hotspot`, x1, ty);
  }

  #text(text, x, y, { size = 13, centred = false } = {}) {
    const { context } = this;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const wide = context.measureText(text).width;
    const { clientWidth } = context.canvas, inside = !centred || (x > 0 && x < clientWidth);
    const wished = centred ? x - wide / 2 : x;
    const left = inside ? Math.max(6, Math.min(wished, clientWidth - wide - 16)) : wished;
    context.fillStyle = "#fffffff0";
    context.fillRect(left - 4, y - size - 1, wide + 8, size + 6);
    context.fillStyle = "#111";
    context.fillText(text, left, y);
  }

  #measured({ kind, points, text, open }, { scale, left, top }) {
    const places = points.map(([x, y]) => [x * scale + left, y * scale + top]);
    const path = new Path2D();
    places.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
    if (kind === "area" && !open) path.closePath();
    for (const [x, y] of places) { path.moveTo(x + 3, y); path.arc(x, y, 3, 0, 2 * Math.PI); }
    this.#stroke(path, "#111", 2, []);
    if (text) this.#text(text, places.at(-1)[0] + 10, places.at(-1)[1] - 8);
  }

  #density({ scale, left, top }) {
    const { image, columns, rows, cell } = this.density;
    const { context } = this, { slide } = this.state;
    context.save();
    context.beginPath();
    context.rect(left, top, slide.width_px * scale, slide.height_px * scale); // cells reach beyond the slide
    context.clip();
    context.imageSmoothingEnabled = true;
    context.drawImage(image, left, top, columns * cell * scale, rows * cell * scale);
    context.restore();
  }

  setDensity(map) {
    if (!map) { this.density = null; return this.redraw(); }
    const rows = map.per_mm2.length, columns = map.per_mm2[0].length;
    const image = new OffscreenCanvas(columns, rows);
    const context = image.getContext("2d");
    const picture = context.createImageData(columns, rows);
    map.per_mm2.flat().forEach((value, k) => {
      const part = map.most > 0 ? value / map.most : 0;
      picture.data.set([200 - 110 * part, 110 - 95 * part, 30 + 10 * part, 190 * Math.sqrt(part)], 4 * k);
    });
    context.putImageData(picture, 0, 0);
    this.density = { image, columns, rows, cell: map.cell_px };
    this.redraw();
  }
}

function symbol(path, kind, state, x, y, r) {
  if (kind === "rejected") {
    const d = r * 0.6;
    path.moveTo(x - d, y - d); path.lineTo(x + d, y + d);
    path.moveTo(x + d, y - d); path.lineTo(x - d, y + d);
  } else if (kind === "negative") {
    path.rect(x - r * 0.85, y - r * 0.85, r * 1.7, r * 1.7);
  } else if (kind === "second") {
    path.moveTo(x, y - r * 1.2); path.lineTo(x + r * 1.15, y + r * 0.8); path.lineTo(x - r * 1.15, y + r * 0.8); path.closePath();
  } else if (kind === "labels") {
    path.moveTo(x, y - r * 1.15); path.lineTo(x + r * 1.15, y); path.lineTo(x, y + r * 1.15); path.lineTo(x - r * 1.15, y); path.closePath();
  } else {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 2 * Math.PI);
  }
  if (state === CONFIRMED) { // a tick beside it
    path.moveTo(x + r * 0.75, y - r * 0.95); path.lineTo(x + r * 0.75 + 4, y - r * 0.95 + 4); path.lineTo(x + r * 0.75 + 11, y - r * 0.95 - 6);
  } else if (state === ADDED) {
    path.moveTo(x + r + 3, y - r); path.lineTo(x + r + 11, y - r); path.moveTo(x + r + 7, y - r - 4); path.lineTo(x + r + 7, y - r + 4);
  }
}

function abgr(hex) {
  const v = parseInt(hex.slice(1), 16);
  return (255 << 24 | (v & 255) << 16 | (v & 0xff00) | v >> 16) >>> 0;
}
