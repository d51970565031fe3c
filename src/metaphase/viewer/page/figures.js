// The figures of a slide as columns with a grid for searches, and the state of their review.
export const OPEN = 0, CONFIRMED = 1, REJECTED = 2, RELABELLED = 3, ADDED = 4;
export const STATES = ["", "confirmed", "rejected", "relabelled", "added"];
const PREFIX = ["d", "l", "s"];
const CELLS = 192;
export const SNAP_UM = 7.5; // figures so near to each other are one

export class Figures {
  #index = null;

  constructor(buffer, slide) {
    const head = new DataView(buffer);
    const n = head.getUint32(4, true);
    this.given = n; // rows from the server; added figures follow
    this.n = n;
    this.reviewed = slide.candidates;
    const x = new Int32Array(buffer, 8, n), y = new Int32Array(buffer, 8 + 4 * n, n);
    this.score = new Float32Array(buffer, 8 + 8 * n, n);
    this.probability = new Float32Array(buffer, 8 + 12 * n, n); // of atypical; NaN: not known
    this.label = new Uint8Array(buffer, 8 + 16 * n, n);
    this.source = new Uint8Array(buffer, 8 + 17 * n, n);
    this.atypicalFrom = Math.fround(slide.atypical_threshold);
    this.marked = new Map(); // id: whether a reader calls the figure atypical
    this.x = Float64Array.from(x, (v) => v / 100);
    this.y = Float64Array.from(y, (v) => v / 100);
    this.state = new Uint8Array(n);
    this.now = this.label.slice();
    this.who = new Map();
    this.addedIds = [];
    this.reach = SNAP_UM / slide.mpp;
    this.cell = Math.max(slide.width_px, slide.height_px) / CELLS;
    this.#sortIntoCells();
  }

  #sortIntoCells() {
    const { given, x, y, cell } = this;
    const at = new Uint32Array(given);
    this.start = new Uint32Array(CELLS * CELLS + 1);
    const clamp = (v) => Math.min(CELLS - 1, Math.max(0, Math.floor(v / cell)));
    for (let i = 0; i < given; i++) {
      at[i] = clamp(y[i]) * CELLS + clamp(x[i]);
      this.start[at[i] + 1]++;
    }
    for (let c = 0; c < CELLS * CELLS; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice(0, -1);
    this.rows = new Uint32Array(given);
    for (let i = 0; i < given; i++) this.rows[next[at[i]]++] = i;
  }

  // Calls visit(i) for the figures in a box, and possibly for some around it.
  within(x1, y1, x2, y2, visit) {
    const clamp = (v) => Math.min(CELLS - 1, Math.max(0, Math.floor(v / this.cell)));
    const left = clamp(x1), right = clamp(x2), bottom = clamp(y2);
    for (let row = clamp(y1); row <= bottom; row++) {
      const end = this.start[row * CELLS + right + 1];
      for (let k = this.start[row * CELLS + left]; k < end; k++) visit(this.rows[k]);
    }
    for (let i = this.given; i < this.n; i++) visit(i);
  }

  nearest(x, y, radius, accept) {
    let best = -1, least = radius * radius;
    this.within(x - radius, y - radius, x + radius, y + radius, (i) => {
      const d = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (d <= least && accept(i)) { best = i; least = d; }
    });
    return best;
  }

  id(i) {
    if (i >= this.given) return this.addedIds[i - this.given];
    const x = Math.round(this.x[i] * 100), y = Math.round(this.y[i] * 100);
    return `${PREFIX[this.source[i]]}${x}_${y}_${this.label[i]}`;
  }

  row(id) {
    if (!this.#index) {
      this.#index = new Map();
      for (let i = this.given - 1; i >= 0; i--) this.#index.set(this.id(i), i);
    }
    const k = this.#index.has(id) ? -1 : this.addedIds.indexOf(id);
    return k < 0 ? (this.#index.get(id) ?? -1) : this.given + k;
  }

  // Whether a decided figure that is not among those of the server is shown by itself.
  stands(id) {
    return id.startsWith("a") || id.startsWith(PREFIX[this.reviewed]);
  }

  add(id, x, y, label) {
    const grown = (old, value) => {
      const wider = new old.constructor(this.n + 1);
      wider.set(old);
      wider[this.n] = value;
      return wider;
    };
    this.x = grown(this.x, x);
    this.y = grown(this.y, y);
    this.score = grown(this.score, 1);
    this.probability = grown(this.probability, NaN);
    this.label = grown(this.label, label);
    this.now = grown(this.now, label);
    this.source = grown(this.source, this.reviewed);
    this.state = grown(this.state, ADDED);
    this.addedIds.push(id);
    return this.n++;
  }

  // Sets the state of a figure. State OPEN removes an added figure.
  decide(i, state, label, who = "") {
    this.state[i] = state;
    this.now[i] = state === OPEN || label === null ? this.label[i] : label;
    this.who.set(i, who);
  }

  // Whether a mitotic figure is atypical: by a reader, or else by the model.
  atypical(i) {
    if (this.now[i] !== 0 || this.state[i] === REJECTED) return false;
    return this.marked.get(this.id(i)) ?? this.probability[i] >= this.atypicalFrom;
  }

  upForReview(i) {
    return this.source[i] === this.reviewed && this.exists(i);
  }

  // Whether a row is shown at all: an added figure that was undone is not.
  exists(i) {
    return i < this.given || this.state[i] !== OPEN;
  }

  counts(i, threshold) {
    if (!this.upForReview(i) || this.state[i] === REJECTED || this.now[i] !== 0) return false;
    return this.state[i] !== OPEN || this.score[i] >= threshold;
  }

  // Whether a figure is still to review: a mitotic candidate without a decision whose score is at
  // least the limit.
  waits(i, limit) {
    return this.upForReview(i) && this.state[i] === OPEN && this.now[i] === 0 && this.score[i] >= limit;
  }

  waiting(limit) {
    const least = Math.fround(limit);
    let total = 0;
    for (let i = 0; i < this.n; i++) if (this.waits(i, least)) total++;
    return total;
  }

  count(threshold) {
    const t = Math.fround(threshold);
    let total = 0;
    for (let i = 0; i < this.n; i++) if (this.counts(i, t)) total++;
    return total;
  }
}
