// The crops of figures: filtered, in an order, one page at a time, with a selection of many.
import { OPEN, REJECTED, STATES } from "./figures.js";

const PAGE = 40;
const CROP_UM = 32;

export function cropAddress(slide, x, y, px, um = CROP_UM) {
  return `api/slides/${slide.slug}/crop?x=${x.toFixed(2)}&y=${y.toFixed(2)}&um=${um}&px=${px}`;
}

export class Gallery {
  constructor(element, state, choose, onselection) {
    Object.assign(this, { element, state, choose, onselection });
    this.order = [];
    this.page = 0;
    this.selection = new Set();
    this.selecting = false; // a plain click selects too
    this.anchor = -1;
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#click(Number(button.dataset.row), event);
    });
  }

  #click(row, event) {
    const k = this.place.get(row);
    if (event.shiftKey && this.anchor >= 0) {
      const [from, to] = [Math.min(k, this.anchor), Math.max(k, this.anchor)];
      for (const other of this.order.slice(from, to + 1)) this.selection.add(other);
    } else if (event.ctrlKey || event.metaKey || this.selecting) {
      if (!this.selection.delete(row)) this.selection.add(row);
    } else {
      this.selection.clear();
    }
    if (!event.shiftKey) this.anchor = k;
    this.choose(row);
    this.onselection();
  }

  selectAll() {
    for (const row of this.order) if (this.state.figures.upForReview(row)) this.selection.add(row);
    this.mark();
    this.onselection();
  }

  clearSelection() {
    this.selection.clear();
    this.mark();
    this.onselection();
  }

  // Filters and sorts. Figures decided afterwards keep their place until the next call, so that
  // nothing moves under the pointer.
  sort(options) {
    const { figures } = this.state;
    const rows = [];
    for (let i = 0; i < figures.n; i++) if (this.#matches(i, options)) rows.push(i);
    const { order, threshold } = options;
    const key = {
      high: (i) => -figures.score[i],
      near: (i) => Math.abs(figures.score[i] - threshold),
      low: (i) => figures.score[i],
      proposed: (i) => this.state.proposed.get(figures.id(i)) ?? Infinity,
    }[order];
    const keys = new Float64Array(figures.n);
    for (const i of rows) keys[i] = key(i);
    this.order = rows.sort((a, b) => keys[a] - keys[b] || a - b);
    this.place = new Map(this.order.map((row, k) => [row, k]));
    this.page = 0;
    this.selection.clear();
    this.anchor = -1;
    this.divider = options.which === "open" && order === "high" ? Math.fround(threshold) : null;
    this.render();
    this.onselection();
  }

  #matches(i, { which, label, atypical, reader, low, high, threshold, limit }) {
    const { figures, comparison, comments } = this.state;
    if (which === "differ") return comparison?.rows.has(i) ?? false;
    if (!figures.upForReview(i)) return false;
    if (which === "readers") return this.state.disagreed.get(this.state.slide.slug)?.has(figures.id(i)) ?? false;
    if (label !== "" && figures.now[i] !== Number(label)) return false;
    if (atypical && (figures.now[i] !== 0 || figures.atypical(i) !== (atypical === "yes"))) return false;
    if (reader && figures.who.get(i) !== reader) return false;
    const score = figures.score[i];
    if (score < low || score > high) return false;
    const open = figures.state[i] === OPEN;
    if (which === "proposed") return open && this.state.proposed.has(figures.id(i));
    const mitotic = label !== "" || figures.now[i] === 0;
    if (which === "open") return open && mitotic && score >= Math.fround(limit);
    if (which === "above") return open && mitotic && score >= Math.fround(threshold);
    if (which === "below") return open && score < Math.fround(limit);
    if (which === "decided") return !open;
    if (which === "comments") return comments.has(figures.id(i));
    return true;
  }

  // Forgets the crops of a slide that is no longer shown.
  clear() {
    this.order = [];
    this.place = new Map();
    this.page = 0;
    this.selection.clear();
    this.element.replaceChildren();
  }

  get pages() {
    return Math.max(1, Math.ceil(this.order.length / PAGE));
  }

  turn(by) {
    this.page = Math.min(this.pages - 1, Math.max(0, this.page + by));
    this.render();
  }

  // Returns the row `by` places from the current one; with `open`, the next undecided one.
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
    const { figures } = this.state;
    const rows = this.order.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const parts = [];
    rows.forEach((row, k) => {
      const before = k ? figures.score[rows[k - 1]] : 2;
      if (this.divider !== null && figures.score[row] < this.divider && before >= this.divider) parts.push(text("Borderline: below the threshold", "divider"));
      parts.push(this.#button(row));
    });
    if (!rows.length) parts.push(text(figures.n ? "No figures in this list." : "No figures. A adds one in the middle of the view.", "soft"));
    this.element.replaceChildren(...parts);
    this.mark();
  }

  #button(row) {
    const { slide, figures } = this.state;
    const button = document.createElement("button");
    button.dataset.row = row;
    const image = new Image();
    image.loading = "lazy";
    image.alt = "";
    image.src = cropAddress(slide, figures.x[row], figures.y[row], 96);
    button.append(image, document.createElement("span"));
    return button;
  }

  mark() {
    const { figures, current, comments } = this.state;
    for (const button of this.element.querySelectorAll("button")) {
      const row = Number(button.dataset.row);
      const state = STATES[figures.state[row]];
      const label = figures.source[row] !== figures.reviewed;
      button.className = label ? "missed" : state;
      button.setAttribute("aria-current", row === current);
      button.setAttribute("aria-pressed", this.selection.has(row));
      const score = figures.score[row].toFixed(2);
      const sign = { rejected: "✕", confirmed: "✓", added: "+", relabelled: "⇄" }[state];
      const note = comments.has(figures.id(row)) ? " ✎" : "";
      const kind = figures.atypical(row) ? " A" : "";
      button.lastChild.textContent = label ? "missed" : (sign ? `${sign} ${score}` : score) + kind + note;
      const name = figures.state[row] === REJECTED ? "" : this.state.labels[figures.now[row]];
      const what = label ? `missed label ${name}` : `${kind ? "atypical " : ""}${name} score ${score} ${state || "to review"}${note ? ", with a comment" : ""}`;
      button.setAttribute("aria-label", what.trim());
    }
  }
}

function text(content, name) {
  const element = document.createElement("p");
  element.className = name;
  element.textContent = content;
  return element;
}
