// Requests to the server. All addresses are relative, so that the page works behind a path prefix.
// A decision is sent again until it is acknowledged; its request id makes repetitions harmless.
export async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}

export async function getBytes(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.arrayBuffer();
}

export async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}

async function reason(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `The server answered ${answer.status}.`;
  }
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

export class Sender {
  #queue = [];
  #busy = false;
  #failing = false;
  #idle = []; // calls that wait until everything is saved
  sent = 0; // how much was ever sent: an older answer of the server lacks it

  constructor(report) {
    this.report = report; // (state: "saved" | "saving" | "failing" | "refused", message)
    addEventListener("beforeunload", (event) => {
      if (this.#queue.length) event.preventDefault();
    });
  }

  get waiting() {
    return this.#queue.length;
  }

  // Resolves once everything is on disk.
  idle() {
    return this.waiting ? new Promise((done) => this.#idle.push(done)) : Promise.resolve();
  }

  decision(slug, decision, onRefused) {
    this.#send(`api/slides/${slug}/decisions`, decision, onRefused);
  }

  remark(slug, remark) {
    this.#send(`api/slides/${slug}/remarks`, remark);
  }

  #send(path, body, onRefused) {
    this.#queue.push({ path, body: { ...body, request: newId() }, onRefused });
    this.sent++;
    if (!this.#failing) this.report("saving"); // a failure stays in sight until it is over
    this.#work();
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    let refused = false;
    while (this.#queue.length) {
      const { path, body, onRefused } = this.#queue[0];
      let message = "the server does not answer";
      try {
        const answer = await fetch(path, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
          keepalive: true,
        });
        if (answer.ok || (answer.status >= 400 && answer.status < 500)) {
          this.#queue.shift();
          this.#failing = false;
          if (!answer.ok) {
            refused = true;
            const why = await reason(answer);
            this.report("refused", why);
            onRefused?.(why);
          }
          continue;
        }
        message = await reason(answer); // such as a full disk
      } catch {
        // The server is away: wait and try again.
      }
      this.#failing = true;
      this.report("failing", message);
      await new Promise((done) => setTimeout(done, 1500));
    }
    this.#busy = false;
    if (!refused) this.report("saved");
    for (const done of this.#idle.splice(0)) done();
  }
}
