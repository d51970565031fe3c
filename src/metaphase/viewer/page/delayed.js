// A call that waits for a pause. What waits can be made at once, so that it is not lost.
const all = new Set();

export class Delayed {
  constructor(ms) {
    this.ms = ms;
    all.add(this);
  }

  // Calls `act` after a pause; replaces the call that waits.
  call(act) {
    clearTimeout(this.timer);
    this.act = act;
    this.timer = setTimeout(() => this.flush(), this.ms);
  }

  flush() {
    clearTimeout(this.timer);
    const { act } = this;
    this.act = null;
    act?.();
  }
}

/** Make all calls that wait: before another slide is opened, and before the page is left. */
export function flushAll() {
  for (const one of all) one.flush();
}

addEventListener("pagehide", flushAll);
addEventListener("visibilitychange", () => { if (document.hidden) flushAll(); });
