// A learning loop: the proposed figures, and retraining in the background.
import { get, post } from "./api.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 1000;

export class Learning {
  #proposed = new Map(); // slug -> Map of figure id -> rank
  #wasRunning = false;

  constructor(state, page) {
    Object.assign(this, { state, page });
    $("learn-train").onclick = () => this.#train();
    $("learn-cancel").onclick = () => this.#send("cancel", {});
  }

  // Asks for the proposals, and for a training that runs already.
  async load() {
    if (!this.state.session.learning) return;
    $("learning").hidden = false;
    for (const id of ["which-proposed", "order-proposed"]) Object.assign($(id), { hidden: false, disabled: false });
    const status = await get("api/learning");
    await this.#loadProposed();
    this.#take(status);
  }

  // The slide to begin with: that of the most informative figure.
  get first() {
    return this.#proposed.keys().next().value;
  }

  // Sets the proposals of the slide that was opened.
  show() {
    if (!this.state.session.learning) return;
    this.state.proposed = this.#proposed.get(this.state.slide.slug) ?? new Map();
    if (this.state.proposed.size) $("which").value = $("order").value = "proposed";
    else if ($("order").value === "proposed") $("order").value = "high";
    const here = this.state.proposed.size, all = [...this.#proposed.values()].reduce((sum, one) => sum + one.size, 0);
    $("learn-proposed").textContent = all ? `${here} proposed here, ${all} on ${this.#proposed.size} slides.` : "No figures are proposed.";
  }

  async #loadProposed() {
    const { slides } = await get("api/learning/proposed");
    this.#proposed = new Map(slides.map(({ slug, figures }) => [slug, new Map(figures.map((id, rank) => [id, rank]))]));
  }

  async #train() {
    // Decisions that are not yet on disk would be missing from the training.
    if (this.page.sender.waiting) this.#say("Saving the decisions");
    $("learn-train").disabled = true;
    await this.page.sender.idle();
    $("learn-train").disabled = false;
    await this.#send("train", { depth: $("learn-depth").value });
  }

  async #send(what, body) {
    try {
      this.#take(await post(`api/learning/${what}`, body));
    } catch (error) {
      this.#say(error.message);
    }
  }

  async #poll() {
    try {
      this.#take(await get("api/learning"));
    } catch (error) {
      this.#say(error.message);
      this.#later();
    }
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#poll(), POLL_MS);
  }

  #take(status) {
    const running = status.state === "running";
    $("learn-train").hidden = running;
    $("learn-cancel").hidden = $("learn-bar").hidden = !running;
    $("learn-bar").value = status.part;
    const ended = this.#wasRunning && !running;
    this.#wasRunning = running;
    if (running) {
      this.#say(`Training: ${status.what}`);
      return this.#later();
    }
    if (ended && status.state === "finished") this.#showNew();
    if (status.state === "failed") return this.#say(`Not trained: ${status.what}`);
    if (ended && status.state === "cancelled") return this.#say("Cancelled. Nothing was changed.");
    this.#say(this.#summary(status));
  }

  #summary({ rounds, least_decisions: least }) {
    const last = rounds.at(-1);
    if (!last) return `Retraining needs at least ${least} decisions.`;
    const text = ({ value, low, high }) => `${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    return `Round ${last.number}, ${last.decisions} decisions: expected F1 ${text(last.scores.f1)}, before ${last.before.f1.value.toFixed(2)}; threshold ${text(last.threshold)}.`;
  }

  async #showNew() {
    await this.#loadProposed();
    await this.page.worklist.load();
    await this.page.openSlide(this.state.slide.slug);
    this.page.announce("Retrained. The figures have new scores.");
  }

  #say(text) {
    $("learn-text").textContent = text;
  }
}
