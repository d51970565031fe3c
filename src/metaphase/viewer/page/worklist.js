// The worklist: all slides with what is to review on each, the assigned reader, and agreement.
import { get } from "./api.js";

const $ = (id) => document.getElementById(id);

export class Worklist {
  constructor(state, sender, open) {
    Object.assign(this, { state, sender, open });
    this.items = new Map(); // list elements by slug
    $("work-filter").onchange = () => this.render();
  }

  async load() {
    this.state.slides = await get("api/slides");
    this.render();
  }

  loadSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      await this.sender.idle(); // the list would lack what is not saved yet
      this.load().catch(() => {});
    }, 700);
  }

  render() {
    const { slides, session } = this.state;
    const filter = $("work-filter").value;
    const shown = slides.filter((slide) =>
      filter === "mine" ? slide.assigned === session.reviewer : filter === "open" ? !slide.complete : true);
    const items = shown.map((slide) => this.#item(slide)), { children } = $("slide-list");
    if (children.length !== items.length || items.some((item, k) => item !== children[k])) $("slide-list").replaceChildren(...items);
    const done = slides.filter((slide) => slide.complete).length;
    const left = slides.reduce((sum, slide) => sum + slide.to_review, 0);
    $("work-sum").textContent = `${done} of ${slides.length} slides complete, ${left.toLocaleString("en")} figures to review`;
    $("slides-toggle").textContent = `Slides (${slides.length - done})`;
    $("slides-toggle").setAttribute("aria-label", `Slides, ${slides.length - done} not complete`);
  }

  // A slide keeps its element, so that neither focus nor a click is lost when numbers change.
  #item(slide) {
    const item = this.items.get(slide.slug) ?? document.createElement("li");
    if (!item.firstChild) {
      const button = document.createElement("button");
      button.dataset.slug = slide.slug;
      button.title = slide.file;
      button.onclick = () => this.open(slide.slug);
      item.append(button);
      this.items.set(slide.slug, item);
    }
    this.#fill(item.firstChild, slide);
    return item;
  }

  #fill(button, slide) {
    const part = (tag, content, name = "") => Object.assign(document.createElement(tag), { textContent: content, className: name });
    const bar = document.createElement("progress");
    bar.max = Math.max(1, slide.decided + slide.to_review);
    bar.value = slide.complete ? bar.max : slide.decided;
    bar.setAttribute("aria-hidden", "true");
    const count = part("span", slide.count.toLocaleString("en"));
    count.title = "mitotic figures";
    count.setAttribute("aria-label", `${slide.count} mitotic figures`);
    const number = (n, what) => `${n.toLocaleString("en")} ${what}`;
    const status = [
      slide.complete ? "✓ complete" : slide.to_review ? number(slide.to_review, "to review") : "nothing to review",
      slide.differences === null ? "" : number(slide.differences, "differ"), slide.assigned,
    ];
    button.replaceChildren(part("b", slide.name), count, part("span", status.filter(Boolean).join(" · "), slide.complete ? "status done" : "status"), bar);
    if (slide.warnings.length) button.append(part("span", "⚠ see the warning", "status warning"));
    button.setAttribute("aria-current", slide.slug === this.state.slide?.slug);
  }

  // Returns the address name of the next slide that is not complete, or of the next one.
  next() {
    const { slides, slide } = this.state;
    const from = slides.findIndex((s) => s.slug === slide.slug);
    const rest = [...slides.slice(from + 1), ...slides.slice(0, from)];
    return (rest.find((s) => !s.complete) ?? rest[0] ?? slide).slug;
  }

  async readers() {
    if (this.state.session.blind) return;
    const { reviewers } = await get("api/agreement");
    $("reader-names").replaceChildren(...reviewers.map((name) => new Option(name, name)));
    $("filter-reader").replaceChildren(new Option("any reader", ""), ...reviewers.map((name) => new Option(name, name)));
    if (reviewers.length < 2) return;
    $("agreement").hidden = false;
    for (const [id, k] of [["reader-a", 0], ["reader-b", 1]]) {
      $(id).replaceChildren(...reviewers.map((name) => new Option(name, name)));
      $(id).selectedIndex = k;
      $(id).onchange = () => this.#agree();
    }
    await this.#agree();
  }

  // Opens the first slide with differences, or stays on one that has some, and lists them.
  async #showDiffering() {
    const { disagreed, slide } = this.state;
    if (!disagreed.has(slide.slug)) await this.open(disagreed.keys().next().value);
    $("which").value = "readers";
    $("which").dispatchEvent(new Event("change"));
  }

  async #agree() {
    const names = new URLSearchParams({ first: $("reader-a").value, second: $("reader-b").value });
    const result = await get(`api/agreement?${names}`);
    const number = (v) => (v === null ? "–" : v.toFixed(2));
    const { slides } = await get(`api/disagreements?${names}`);
    this.state.disagreed = new Map(slides.map(({ slug, figures }) => [slug, new Set(figures)]));
    const differ = slides.reduce((sum, one) => sum + one.figures.length, 0);
    Object.assign($("which-readers"), { hidden: !differ, disabled: !differ });
    $("agreement-differ").hidden = !differ;
    $("agreement-differ").textContent = `Show the ${differ} on which they differ`;
    $("agreement-differ").onclick = () => this.#showDiffering();
    $("agreement-result").textContent = `Kappa ${number(result.kappa)} over ${result.both} figures that both judged; F1 ${number(result.f1)} between their ${result.first} and ${result.second} mitotic figures.`;
  }
}
