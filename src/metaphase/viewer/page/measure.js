// Ruler and area tool: distances in µm and polygons in mm².
export class Measure {
  constructor(state, changed) {
    Object.assign(this, { state, changed });
    this.reset();
  }

  reset() {
    this.kind = null; // "ruler" or "area"
    this.points = []; // of the unfinished shape, in px of the slide
    this.done = [];
    this.pointer = null;
  }

  begin(kind) {
    this.kind = kind;
    this.points = [];
    this.pointer = null;
    this.changed();
  }

  // Takes a click at a place of the slide.
  click(x, y, reach) {
    const ends = [this.points[0], this.points.at(-1)]; // a second click at the last corner closes too
    if (this.kind === "area" && this.points.length > 2 && ends.some(([ex, ey]) => Math.hypot(ex - x, ey - y) < reach)) return this.finish();
    this.points.push([x, y]);
    if (this.kind === "ruler" && this.points.length === 2) this.finish();
    this.changed();
  }

  move(x, y) {
    if (!this.kind || !this.points.length) return;
    this.pointer = [x, y];
    this.changed();
  }

  finish() {
    const enough = this.kind === "area" ? 3 : 2;
    if (this.points.length >= enough) this.done.push({ kind: this.kind, points: this.points });
    this.points = [];
    this.pointer = null;
    this.changed();
  }

  // Removes the unfinished shape, else all finished ones. Returns whether there was anything.
  clear() {
    const any = this.points.length || this.done.length;
    if (this.points.length) this.points = [];
    else this.done = [];
    this.pointer = null;
    this.changed();
    return Boolean(any);
  }

  // Returns the shapes to draw, the unfinished one with the pointer as its last point.
  shapes() {
    const all = this.done.map((shape) => ({ ...shape, text: this.text(shape) }));
    if (this.points.length) {
      const shape = { kind: this.kind, points: this.pointer ? [...this.points, this.pointer] : this.points, open: true };
      all.push({ ...shape, text: shape.points.length > 1 ? this.text(shape) : "" });
    }
    return all;
  }

  text({ kind, points }) {
    const { mpp } = this.state.slide;
    if (kind === "ruler") return length(Math.hypot(points[1][0] - points[0][0], points[1][1] - points[0][1]) * mpp);
    if (points.length < 3) return "";
    return area(Math.abs(shoelace(points)) * mpp * mpp);
  }
}

export function shoelace(points) {
  let twice = 0;
  points.forEach(([x, y], k) => {
    const [nx, ny] = points[(k + 1) % points.length];
    twice += x * ny - nx * y;
  });
  return twice / 2;
}

export function length(um) {
  return um < 1000 ? `${um.toFixed(um < 100 ? 1 : 0)} µm` : `${(um / 1000).toFixed(2)} mm`;
}

export function area(um2) {
  return um2 < 1e5 ? `${Math.round(um2).toLocaleString("en")} µm²` : `${(um2 / 1e6).toFixed(3)} mm²`;
}
