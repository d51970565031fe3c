// The numbers: count, hotspot, interval and score from the server, and the histogram.
import { get } from "./api.js";

const $ = (id) => document.getElementById(id);

export class Counts {
  constructor(state, overlay, sender, changed) {
    Object.assign(this, { state, overlay, sender, changed });
    for (const id of ["window", "field"]) $(id).addEventListener("input", () => this.ask());
  }

  clear() {
    this.overlay.hotspot = null;
    this.overlay.setDensity(null);
    $("hot-count").textContent = "–";
  }

  // Asks the server soon; a newer question replaces an older one.
  ask() {
    for (const id of ["hot-count", "estimate", "measures"]) $(id).classList.add("old");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), this.sender.waiting ? 400 : 90);
  }

  async #ask() {
    const { slide, threshold } = this.state;
    const [shape, area] = $("window").value.split(",");
    const question = new URLSearchParams({ threshold, shape });
    if (area) question.set("area_mm2", area);
    if ($("field").value && $("field").checkValidity()) question.set("field_mm", $("field").value);
    this.asked?.abort();
    this.asked = new AbortController();
    try {
      const answer = await fetch(`api/slides/${slide.slug}/hotspot?${question}`, { signal: this.asked.signal });
      if (answer.status === 204) return;
      if (!answer.ok) throw new Error(`${answer.status}`);
      const result = await answer.json();
      if (slide !== this.state.slide) return;
      if (this.sender.waiting) return this.ask(); // the answer lacks decisions that are not saved yet
      this.#show(result);
      if (this.state.showDensity) this.overlay.setDensity(await get(`api/slides/${slide.slug}/density?threshold=${threshold}`));
    } catch { /* replaced by a newer question, or the server is away */ }
  }

  #show({ hotspot, hotspot_estimate: interval, interval_from: source, score, notes, hotspot_atypical: atypical, window_mm2: area }) {
    this.overlay.hotspot = hotspot;
    for (const id of ["hot-count", "estimate", "measures"]) $(id).classList.remove("old");
    $("hot-count").textContent = hotspot ? hotspot.count.toLocaleString("en") : "0";
    $("hot-what").textContent = `hotspot, ${(hotspot?.area_mm2 ?? area).toFixed(2)} mm²`;
    $("hot-interval").textContent = interval ? `${interval.low} to ${interval.high}` : "not known";
    for (const element of document.querySelectorAll(".of-atypical")) element.hidden = !atypical;
    $("hot-atypical").textContent = atypical?.text ?? "";
    $("hot-density").textContent = hotspot ? (hotspot.per_mm2 ?? 0).toFixed(2) : "0";
    const others = score?.could_be.filter((value) => value !== score.score) ?? [];
    const withheld = this.state.slide.warnings.length && !score;
    $("hot-score").textContent = score ? `${score.score}${others.length ? `, could be ${others.join(" or ")}` : ""}` : withheld ? "not given, see the warning" : "needs a field diameter";
    $("hot-score").title = score ? `Field of ${score.field_diameter_mm.toFixed(2)} mm: 1 up to ${score.cuts[0]}, 2 up to ${score.cuts[1]} in ten fields` : "";
    $("hot-score").classList.toggle("tips", others.length > 0);
    const shown = notes.filter((text) => !this.state.slide.warnings.includes(text)); // those have their own place
    $("count-notes").replaceChildren(...shown.map((text) => Object.assign(document.createElement("li"), { textContent: text.replaceAll("mm2", "mm²") })));
    $("interval-from").hidden = !(interval && source);
    $("interval-source").textContent = source ? `${source[0].toUpperCase()}${source.slice(1)}.` : "";
    this.overlay.redraw();
    this.changed();
  }

  histogram() {
    const canvas = $("histogram"), ratio = devicePixelRatio || 1, bins = 50;
    const width = (canvas.width = canvas.clientWidth * ratio), height = (canvas.height = canvas.clientHeight * ratio);
    const context = canvas.getContext("2d"), { figures } = this.state;
    const counts = new Float64Array(bins);
    for (let i = 0; i < figures.given; i++) if (figures.upForReview(i)) counts[Math.min(bins - 1, Math.floor(figures.score[i] * bins))]++;
    const most = Math.log1p(Math.max(1, ...counts));
    const style = getComputedStyle(document.body);
    counts.forEach((n, k) => {
      const tall = (Math.log1p(n) / most) * (height - 2);
      context.fillStyle = style.getPropertyValue((k + 0.5) / bins >= this.state.threshold ? "--accent" : "--rule");
      context.fillRect(8 * ratio + (k * (width - 16 * ratio)) / bins, height - tall, (width - 16 * ratio) / bins - ratio, tall);
    });
  }
}
