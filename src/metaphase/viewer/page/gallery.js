// The crops of figures: filtered, in an order, one page at a time, with a selection of many.
import { BOTH, DIFFER, FIRST, LABELS, MODEL, SECOND, verdict } from "./comparison.js";
import { OPEN, REJECTED, STATES } from "./figures.js";

const PAGE = 40;
const CROP_UM = 32;
const COMPARED = { [DIFFER]: [FIRST, SECOND], [BOTH]: [BOTH], [FIRST]: [FIRST], [SECOND]: [SECOND] };

export function cropAddress(slide, x, y, px, um = CROP_UM) {
  return `api/slides/${slide.slug}/crop?x=${x.toFixed(2)}&y=${y.toFixed(2)}&um=${um}&px=${px}`;
}

export class Gallery {
  constructor(element, state, choose, onselection) {
    Object.assign(this, { element, state, choose, onselection });
    this.order = [];
    this.sections = new Map(); // headings of parts of the list, by row
    this.page = 0;
    this.selection = new Set();
    this.empty = ""; // what an empty list says
    this.selecting = false; // a plain click selects too
    this.buttons = new Map(); // of the page that is shown, by row
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
    for (const row of this.order) this.selection.add(row);
    this.mark();
    this.onselection();
  }

  clearSelection() {
    this.selection.clear();
    this.mark();
    this.onselection();
  }

  // Filters and sorts. Figures decided afterwards keep their place until the next call, so that
  // nothing moves under the pointer. With `keep`, the selection and the page stay as far as they can.
  sort(options, keep = false) {
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
    const keys = new Float64Array(figures.n), { comparison } = this.state;
    const groups = options.which === DIFFER ? (i) => Number(comparison.kinds.get(i) === FIRST) : () => 0;
    for (const i of rows) keys[i] = key(i);
    this.order = rows.sort((a, b) => groups(a) - groups(b) || keys[a] - keys[b] || a - b);
    this.place = new Map(this.order.map((row, k) => [row, k]));
    const first = keep ? [...this.buttons.keys()].find((row) => this.place.has(row)) : undefined;
    this.page = first === undefined ? 0 : Math.floor(this.place.get(first) / PAGE);
    const kept = keep ? [...this.selection].filter((row) => this.place.has(row)) : [];
    this.selection = new Set(kept);
    this.anchor = -1;
    const section = this.#sections(options); // as sorted: a decision may change it, but moves nothing
    this.sections = new Map(this.order.map((row) => [row, section(row)]));
    this.empty = options.filters ? "No figures in this list with these filters." : options.which === "open" ? "No figures are left to review." : "No figures in this list.";
    this.render();
    this.onselection();
  }

  // Returns the heading of the part of the list that a row belongs to, or an empty text.
  #sections({ which, order, threshold }) {
    const { comparison, figures } = this.state;
    if (which === DIFFER && comparison) {
      const { tally, words } = comparison;
      return (i) => { const kind = comparison.kinds.get(i); return `${words[kind][0].toUpperCase()}${words[kind].slice(1)}: ${tally[kind].toLocaleString("en")}`; };
    }
    if (which !== "open" || order !== "high") return () => "";
    return (i) => (figures.score[i] < Math.fround(threshold) ? "Borderline: below the threshold" : "");
  }

  #matches(i, { which, label, atypical, reader, verdict: decision, low, high, threshold, limit }) {
    const { figures, comparison, comments } = this.state;
    const compared = COMPARED[which];
    if (compared && !compared.includes(comparison?.kinds.get(i))) return false;
    if (!figures.upForReview(i) && !(compared && which !== BOTH && figures.exists(i))) return false;
    if (which === "readers") return this.state.disagreed.get(this.state.slide.slug)?.has(figures.id(i)) ?? false;
    if (label !== "" && figures.now[i] !== Number(label)) return false;
    if (atypical && (figures.now[i] !== 0 || figures.atypical(i) !== (atypical === "yes"))) return false;
    if (reader && figures.who.get(i) !== reader) return false;
    if (decision !== "" && verdict(this.state, i) !== Number(decision)) return false;
    const score = figures.score[i];
    if (score < low || score > high) return false;
    if (compared) return true;
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
    this.buttons.clear();
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
    const { current } = this.state;
    let k = this.place?.get(current);
    k = k === undefined ? (by > 0 ? 0 : this.order.length - 1) : k + by;
    while (open && k >= 0 && k < this.order.length && verdict(this.state, this.order[k]) !== OPEN) k += Math.sign(by);
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

  // Buttons that are still shown stay the same elements, so that neither focus nor a click is lost.
  render() {
    const { figures } = this.state;
    const rows = this.order.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const parts = [], buttons = new Map();
    let section = "";
    for (const row of rows) {
      if (this.sections.get(row) !== section) {
        section = this.sections.get(row);
        if (section) parts.push(this.#heading(section));
      }
      buttons.set(row, this.buttons.get(row) ?? this.#button(row));
      parts.push(buttons.get(row));
    }
    if (!rows.length) parts.push(text(figures.n ? this.empty : "No figures. A adds one in the middle of the view.", "soft"));
    this.buttons = buttons;
    const { children } = this.element;
    if (children.length !== parts.length || parts.some((part, k) => part !== children[k])) this.element.replaceChildren(...parts);
    this.mark();
  }

  #heading(content) {
    const shown = [...this.element.querySelectorAll(".divider")].find((element) => element.textContent === content);
    return shown ?? text(content, "divider");
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
    for (const [row, button] of this.buttons) {
      button.setAttribute("aria-current", row === this.state.current);
      button.setAttribute("aria-pressed", this.selection.has(row));
      this.#describe(row, button);
    }
  }

  #describe(row, button) {
    const { comments, comparison, figures, labels } = this.state;
    const source = figures.source[row] === figures.reviewed ? -1 : figures.source[row];
    const state = STATES[verdict(this.state, row)];
    button.className = [{ [LABELS]: "of-labels", [MODEL]: "of-second" }[source] ?? "", state].join(" ").trim();
    const score = figures.score[row].toFixed(2);
    const sign = { rejected: "✕", confirmed: "✓", added: "+", relabelled: "⇄" }[state];
    const note = comments.has(figures.id(row)) ? " ✎" : "";
    const kind = figures.atypical(row) ? " A" : "";
    const shown = { [LABELS]: "missed", [MODEL]: `▲ ${score}` }[source] ?? score;
    button.lastChild.textContent = (sign ? `${sign} ${shown}` : shown) + kind + note;
    const side = comparison?.words[comparison.kinds.get(row)];
    const name = figures.state[row] === REJECTED ? "" : `${kind ? "atypical " : ""}${labels[figures.now[row]]}`;
    const what = [`${name} ${source === LABELS ? "label" : `score ${score}`}`.trim(), side, state || "to review", note && "with a comment"];
    button.setAttribute("aria-label", what.filter(Boolean).join(", "));
  }
}

function text(content, name) {
  const element = document.createElement("p");
  element.className = name;
  element.textContent = content;
  return element;
}
