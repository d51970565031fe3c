// The crops in an order, one page at a time, and the figure under review among them.
import { OPEN, REJECTED, STATES } from "./figures.js";

const PAGE = 40;
const CROP_UM = 32;

export function cropAddress(slide, x, y, px, um = CROP_UM) {
  return `/api/slides/${slide.slug}/crop?x=${x.toFixed(2)}&y=${y.toFixed(2)}&um=${um}&px=${px}`;
}

export class Gallery {
  constructor(element, state, choose) {
    Object.assign(this, { element, state, choose });
    this.order = [];
    this.page = 0;
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(Number(button.dataset.row));
    });
  }

  // Sorts anew. What was decided since keeps its place until then, so nothing jumps under a hand.
  sort({ order, which, threshold }) {
    const { figures } = this.state;
    const key = { border: (i) => Math.abs(figures.score[i] - threshold), high: (i) => -figures.score[i], low: (i) => figures.score[i] }[order];
    const rows = [];
    for (let i = 0; i < figures.n; i++) {
      if (!figures.upForReview(i)) continue;
      const decided = figures.state[i] !== OPEN;
      if ((which === "open" && decided) || (which === "decided" && !decided)) continue;
      if (!decided && !this.state.showLabel[figures.now[i]]) continue;
      rows.push(i);
    }
    const keys = new Float64Array(figures.n);
    for (const i of rows) keys[i] = key(i);
    this.order = rows.sort((a, b) => keys[a] - keys[b] || a - b);
    this.place = new Map(this.order.map((row, k) => [row, k]));
    this.page = 0;
    this.render();
  }

  // Forgets the crops: their rows are those of a slide that is no longer shown.
  clear() {
    this.order = [];
    this.place = new Map();
    this.page = 0;
    this.element.replaceChildren();
  }

  get pages() {
    return Math.max(1, Math.ceil(this.order.length / PAGE));
  }

  turn(by) {
    this.page = Math.min(this.pages - 1, Math.max(0, this.page + by));
    this.render();
  }

  // Returns the row `by` places on from the current one; with `open`, the next one undecided.
  step(by, open = false) {
    const { figures, current } = this.state;
    let k = this.place?.get(current);
    k = k === undefined ? (by > 0 ? 0 : this.order.length - 1) : k + by;
    while (open && k >= 0 && k < this.order.length && figures.state[this.order[k]] !== OPEN) k += Math.sign(by);
    return this.order[k] ?? -1;
  }

  show(row) {
    const k = this.place?.get(row);
    if (k !== undefined && Math.floor(k / PAGE) !== this.page) {
      this.page = Math.floor(k / PAGE);
      this.render();
    } else {
      this.mark();
    }
    this.element.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }

  render() {
    const { slide, figures } = this.state;
    const rows = this.order.slice(this.page * PAGE, (this.page + 1) * PAGE);
    this.element.replaceChildren(...rows.map((row) => {
      const button = document.createElement("button");
      button.dataset.row = row;
      const image = new Image();
      image.loading = "lazy";
      image.alt = "";
      image.src = cropAddress(slide, figures.x[row], figures.y[row], 96);
      button.append(image, document.createElement("span"));
      return button;
    }));
    if (!rows.length) {
      const text = document.createElement("p");
      text.className = "soft";
      text.textContent = figures.n ? "Nothing here." : "No figures yet. Double-click the slide to add one.";
      this.element.append(text);
    }
    this.mark();
  }

  mark() {
    const { figures, current } = this.state;
    for (const button of this.element.querySelectorAll("button")) {
      const row = Number(button.dataset.row);
      const state = STATES[figures.state[row]];
      button.className = state;
      button.setAttribute("aria-current", row === current);
      const score = figures.score[row].toFixed(2);
      const word = { rejected: "✕", confirmed: "✓", added: "+", relabelled: "⇄" }[state];
      button.lastChild.textContent = word ? `${word} ${score}` : score;
      const label = figures.state[row] === REJECTED ? "" : this.state.labels[figures.now[row]];
      button.setAttribute("aria-label", `${label} score ${score} ${state || "to review"}`.trim());
    }
  }
}
