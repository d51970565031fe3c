// A small map of the whole slide: the view, the hotspot, and the areas that were looked at.
import { Delayed } from "./delayed.js";

const CELLS = 64; // along the longer side
const SAVE_MS = 1500;
const SEEN_UM_PER_PX = 1.05; // looked at means: at least at 10x

export class MiniMap {
  constructor(canvas, state, overlay, goTo, keep) {
    Object.assign(this, { canvas, state, overlay, goTo, keep });
    this.context = canvas.getContext("2d");
    this.saving = new Delayed(SAVE_MS);
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#go(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) this.#go(event); });
    new ResizeObserver(() => { if (this.seen) { this.#fit(); this.draw(); } }).observe(canvas.parentElement);
  }

  #go(event) {
    const { slide } = this.state;
    if (!slide) return;
    const box = this.canvas.getBoundingClientRect();
    this.goTo((event.clientX - box.left) / this.scale, (event.clientY - box.top) / this.scale);
  }

  // Sizes the map: a small part of the frame of the slide, on a phone too.
  #fit() {
    const { slide } = this.state, frame = this.canvas.parentElement;
    const side = Math.max(64, Math.min(150, 0.22 * frame.clientWidth, 0.3 * frame.clientHeight));
    this.scale = side / Math.max(slide.width_px, slide.height_px);
    const [wide, tall] = [slide.width_px, slide.height_px].map((v) => Math.max(12, Math.round(v * this.scale)));
    Object.assign(this.canvas.style, { width: `${wide}px`, height: `${tall}px` });
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: wide * ratio, height: tall * ratio });
  }

  open(slide) {
    const longest = Math.max(slide.width_px, slide.height_px);
    this.#fit();
    this.cell = longest / CELLS;
    this.columns = Math.ceil(slide.width_px / this.cell);
    this.rows = Math.ceil(slide.height_px / this.cell);
    this.seen = new Uint8Array(this.columns * this.rows);
    this.#load(slide);
    this.picture = new Image();
    this.picture.onload = () => this.draw();
    this.picture.src = `api/slides/${slide.slug}/tiles/${Math.min(slide.levels, 9)}/0/0`;
  }

  // The grid is kept in the review store, for each reader: "64x48:" and its bits in base 64.
  #load(slide) {
    const [size, bits] = slide.viewed.split(":");
    if (size !== `${this.columns}x${this.rows}`) return;
    const bytes = Uint8Array.from(atob(bits), (c) => c.charCodeAt(0));
    this.seen.forEach((_, k) => { this.seen[k] = (bytes[k >> 3] >> (7 - (k & 7))) & 1; });
  }

  #save() {
    const { slug } = this.state.slide, { seen, columns, rows } = this;
    this.saving.call(() => {
      const bytes = new Uint8Array(Math.ceil(seen.length / 8));
      seen.forEach((value, k) => { if (value) bytes[k >> 3] |= 128 >> (k & 7); });
      this.keep(slug, `${columns}x${rows}:${btoa(String.fromCharCode(...bytes))}`);
    });
  }

  // Takes the part of the slide in view, in px, and how many µm a pixel of the screen shows.
  look(view, umPerPx) {
    this.view = view;
    if (umPerPx <= SEEN_UM_PER_PX) this.#remember(view);
    this.draw();
  }

  #remember([x1, y1, x2, y2]) {
    let changed = false;
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        const x = (column + 0.5) * this.cell, y = (row + 0.5) * this.cell, k = row * this.columns + column;
        if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && !this.seen[k]) changed = this.seen[k] = 1;
      }
    }
    if (changed) this.#save();
  }

  get share() {
    return this.seen.length ? this.seen.reduce((a, b) => a + b, 0) / this.seen.length : 0;
  }

  draw() {
    const { context, canvas, scale } = this;
    if (!this.state.slide || !this.picture?.complete || !this.picture.naturalWidth) return;
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.drawImage(this.picture, 0, 0, canvas.width / ratio, canvas.height / ratio);
    context.fillStyle = "#0a9a4366";
    const side = this.cell * scale;
    this.seen.forEach((value, k) => {
      if (value) context.fillRect((k % this.columns) * side, Math.floor(k / this.columns) * side, side, side);
    });
    const { hotspot } = this.overlay;
    if (hotspot) this.#box(hotspot.box, "#111", [3, 2]);
    if (this.view) this.#box(this.view, "#0b57d0", []);
    canvas.title = `Map of the slide. Green: viewed at 10× or more (${Math.round(100 * this.share)} %). Dashed: hotspot`;
  }

  #box([x1, y1, x2, y2], colour, dash) {
    const { context, scale } = this;
    context.setLineDash(dash);
    for (const [width, stroke] of [[4, "#ffffffd0"], [2, colour]]) {
      Object.assign(context, { lineWidth: width, strokeStyle: stroke });
      context.strokeRect(x1 * scale, y1 * scale, Math.max(3, (x2 - x1) * scale), Math.max(3, (y2 - y1) * scale));
    }
    context.setLineDash([]);
  }
}
