// Talks to the server. A decision is repeated until it is acknowledged; its request id makes the
// repetition harmless.
export async function get(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await why(answer));
  return answer.json();
}

export async function getBytes(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(await why(answer));
  return answer.arrayBuffer();
}

async function why(answer) {
  const text = await answer.text();
  try {
    const told = JSON.parse(text);
    return told.error ?? (typeof told.detail === "string" ? told.detail : text);
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

  constructor(tell) {
    this.tell = tell; // (state: "saved" | "saving" | "failing" | "refused", message)
    addEventListener("beforeunload", (event) => {
      if (this.#queue.length) event.preventDefault();
    });
  }

  get waiting() {
    return this.#queue.length;
  }

  send(slug, decision) {
    this.#queue.push({ slug, body: { ...decision, request: newId() } });
    this.tell("saving");
    this.#work();
  }

  async #work() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#queue.length) {
      const { slug, body } = this.#queue[0];
      try {
        const answer = await fetch(`/api/slides/${slug}/decisions`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(body),
          keepalive: true,
        });
        if (answer.ok || (answer.status >= 400 && answer.status < 500)) {
          this.#queue.shift();
          if (!answer.ok) this.tell("refused", await why(answer));
          continue;
        }
      } catch {
        // The server is away: wait and try again.
      }
      this.tell("failing");
      await new Promise((done) => setTimeout(done, 1500));
    }
    this.#busy = false;
    this.tell("saved");
  }
}
