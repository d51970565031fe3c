// Comparison of what is under review with a reference: labels, or a second model.
import { get } from "./api.js";
import { CONFIRMED, ADDED, OPEN, REJECTED } from "./figures.js";

const $ = (id) => document.getElementById(id);
export const BOTH = "both", FIRST = "first", SECOND = "second", DIFFER = "differ";
export const LABELS = 1, MODEL = 2; // sources of a reference, as in figures.source
const LISTS = [BOTH, FIRST, SECOND];

/** Return the comparison of a slide with one of its references, null where it has none. */
export async function loadComparison(slide, threshold, reference = slide.references[0]) {
  if (!reference) return null;
  return get(`api/slides/${slide.slug}/comparison?reference=${reference.key}&threshold=${threshold}`);
}

// The figure that a decision is about: for a reference, the figure under review at its place, if there is one.
export function target(state, i) {
  const { figures } = state;
  if (figures.source[i] === figures.reviewed) return i;
  const near = figures.nearest(figures.x[i], figures.y[i], figures.reach, (k) => isPlaced(state, k) && (figures.now[k] === 0 || figures.state[k] === REJECTED));
  return near < 0 ? i : near;
}

// The decision about a figure; about a reference, that on a figure at its place.
export function verdict(state, i) {
  const { figures } = state;
  if (figures.state[i] !== OPEN || figures.source[i] === figures.reviewed) return figures.state[i];
  const near = figures.nearest(figures.x[i], figures.y[i], figures.reach, (k) => isPlaced(state, k) && figures.state[k] !== OPEN);
  return near < 0 ? OPEN : figures.state[near];
}

// Whether a figure is under review and is not the partner of another figure of the reference.
function isPlaced({ comparison, figures }, k) {
  return figures.upForReview(k) && comparison?.kinds.get(k) !== BOTH;
}

export class Comparison {
  // `page` has sortGallery(keep) and update(); both show what is in state.comparison.
  constructor(state, sender, page) {
    Object.assign(this, { state, sender, page });
    $("reference").addEventListener("change", () => this.#choose());
    for (const list of LISTS) $(`compare-${list}`).addEventListener("click", () => this.#list(list));
  }

  get reference() {
    const { references } = this.state.slide;
    return references.find((r) => r.key === $("reference").value) ?? references[0];
  }

  // Shows a slide that was opened, with the answer of loadComparison.
  open(answer) {
    const { slide } = this.state, { references } = slide;
    clearTimeout(this.timer);
    this.asking = null;
    $("comparison").hidden = !references.length && !slide.not_compared;
    $("reference").replaceChildren(...references.map((r) => new Option(r.name, r.key)));
    $("reference").hidden = references.length < 2;
    for (const id of ["compare-numbers", "compare-text"]) $(id).hidden = !references.length;
    $("not-compared").hidden = !slide.not_compared;
    $("not-compared").textContent = slide.not_compared;
    Object.assign($("which-compared"), { hidden: !references.length, disabled: !references.length });
    this.#take(answer);
    this.#showOnlyChosen();
  }

  // Asks again soon where the answer depends on the threshold and the decisions.
  ask() {
    const { comparison } = this.state;
    if (!comparison || comparison.frozen) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), this.sender.waiting ? 400 : 90);
  }

  async #ask() {
    const { slide, threshold } = this.state, asked = (this.asking = {});
    try {
      const answer = await loadComparison(slide, threshold, this.reference);
      if (asked !== this.asking || slide !== this.state.slide) return;
      if (this.sender.waiting) return this.ask();
      const moved = answer.threshold !== this.state.comparison?.threshold;
      this.#take(answer);
      this.page.update();
      // Decisions change no list under the reader's eyes; another threshold does.
      if (moved && $("which").selectedOptions[0]?.parentElement === $("which-compared")) this.page.sortGallery(true);
    } catch { /* replaced by a newer question, or the server is away */ }
  }

  async #choose() {
    const { slide, threshold } = this.state, { reference } = this, asked = (this.asking = {});
    let answer;
    try {
      answer = await loadComparison(slide, threshold, reference);
    } catch {
      if (asked === this.asking) $("reference").value = this.state.comparison.reference.key;
      return; // the server is away: the choice stays as it was
    }
    if (asked !== this.asking || slide !== this.state.slide) return;
    this.#take(answer);
    this.#showOnlyChosen();
    this.page.update();
    this.page.sortGallery();
  }

  // Marks of labels and of a second model at once are hard to read: show those that are compared.
  #showOnlyChosen() {
    const { reference } = this;
    if (!reference) return;
    $("reference").title = reference.name;
    for (const [id, source] of [["show-ref", LABELS], ["show-second", MODEL]]) $(id).checked = this.state.showReference[source] = source === reference.source;
  }

  #list(list) {
    $("which").value = $(`compare-${list}`).getAttribute("aria-pressed") === "true" ? DIFFER : list;
    this.page.sortGallery();
  }

  #take(answer) {
    if (!answer) { this.state.comparison = null; return; }
    const { figures } = this.state, { reference } = this;
    const kinds = new Map(), partners = new Map(), tally = { both: answer.both.length, first: answer.only_first.length, second: answer.only_second.length };
    const rowAt = (x, y) => figures.nearest(x, y, 0.02, (i) => figures.upForReview(i) && (figures.label[i] === 0 || figures.now[i] === 0));
    for (const [x, y, row] of answer.both) {
      const first = rowAt(x, y);
      kinds.set(row, BOTH);
      if (first < 0) continue;
      kinds.set(first, BOTH);
      partners.set(first, row).set(row, first);
    }
    for (const [x, y] of answer.only_first) kinds.set(rowAt(x, y), FIRST);
    for (const row of answer.only_second) kinds.set(row, SECOND);
    kinds.delete(-1);
    const labels = reference.source === LABELS;
    const words = labels ? { both: "found", first: "false", second: "missed" } : { both: "in both", first: `only ${reference.against}`, second: `only ${reference.name}` };
    const { threshold, f1 } = answer, frozen = !labels && figures.reviewed === 0;
    this.state.comparison = { reference, kinds, partners, tally, words, threshold, f1, frozen };
    this.#words();
  }

  #words() {
    const { comparison } = this.state, { reference, words } = comparison;
    const mark = reference.source === LABELS ? "◆" : "▲";
    const signs = { both: `○${mark}`, first: "○", second: mark };
    $("compare-title").textContent = $("reference").hidden ? `Compared with ${reference.name}` : "Compared with";
    for (const list of LISTS) {
      const [sign, , name] = $(`compare-${list}`).children;
      sign.textContent = signs[list];
      name.textContent = words[list];
    }
    const entries = { differ: "What differs", both: words.both, first: words.first, second: words.second };
    $("which-compared").label = `Compared with ${reference.name}`;
    for (const option of $("which-compared").children) option.textContent = entries[option.value][0].toUpperCase() + entries[option.value].slice(1);
  }

  // Shows the numbers, how many of the differences are decided, and which list is open.
  show() {
    const { comparison } = this.state;
    if (!comparison) return;
    const { f1, frozen, kinds, reference, tally, threshold } = comparison;
    for (const list of LISTS) {
      $(`compare-${list}`).children[1].textContent = tally[list].toLocaleString("en");
      $(`compare-${list}`).setAttribute("aria-pressed", $("which").value === list);
    }
    let confirmed = 0, rejected = 0, open = 0;
    for (const [i, kind] of kinds) {
      if (kind === BOTH) continue;
      const state = verdict(this.state, i);
      if (state === OPEN) open++;
      else if (state === CONFIRMED || state === ADDED) confirmed++;
      else rejected++;
    }
    const at = frozen ? `${reference.against} at ${threshold.toFixed(2)}, ${reference.name} at ${reference.threshold.toFixed(2)}. ` : "";
    const score = f1 === null ? "" : frozen ? `F1 between them ${f1.toFixed(2)}. ` : `F1 ${f1.toFixed(2)}. `;
    const decided = confirmed + rejected ? `, ${confirmed} confirmed, ${rejected} rejected` : "";
    const differ = tally.first + tally.second;
    $("compare-text").textContent = `${at}${score}${differ ? `${differ.toLocaleString("en")} differ${decided}, ${open.toLocaleString("en")} to review.` : "No figure differs."}`;
  }
}

/** Return the scores of a figure by both models, or an empty text where no second model is compared. */
export function scoresOfBoth({ comparison, figures, slide }, i) {
  if (!comparison?.frozen || i >= figures.given) return "";
  const { partners, reference } = comparison;
  const other = figures.source[i] === MODEL ? figures.reviewed : MODEL;
  const near = partners.get(i) ?? figures.nearest(figures.x[i], figures.y[i], figures.reach, (k) => k < figures.given && figures.source[k] === other && figures.label[k] === 0 && !partners.has(k));
  const score = (k, limit) => (k < 0 ? "none" : `${figures.score[k].toFixed(3)}${figures.score[k] < Math.fround(limit) ? " (below its threshold)" : ""}`);
  const [first, second] = figures.source[i] === MODEL ? [near, i] : [i, near];
  return `${reference.against} ${score(first, slide.default_threshold)}, ${reference.name} ${score(second, reference.threshold)} · `;
}
