// The page: opens slides, keeps state and controls in step, and handles decisions.
import { get, getBytes, Sender } from "./api.js";
import { atypicalToggle } from "./atypical.js";
import { Comparison, loadComparison, MODEL } from "./comparison.js";
import { connect } from "./controls.js";
import { Counts } from "./counts.js";
import { decisions } from "./decisions.js";
import { Delayed, flushAll } from "./delayed.js";
import { describe, FigureCard } from "./figurecard.js";
import { Figures, OPEN, REJECTED, STATES } from "./figures.js";
import { Gallery } from "./gallery.js";
import { listen, reviewKeys } from "./keys.js";
import { Learning } from "./learning.js";
import { Measure } from "./measure.js";
import { MiniMap } from "./minimap.js";
import { Overlay } from "./overlay.js";
import { showSlide } from "./slideheader.js";
import { SlideView } from "./slideview.js";
import { state } from "./state.js";
import { Worklist } from "./worklist.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 2500;
const FILTERS = ["filter-label", "filter-atypical", "filter-state", "filter-reader", "filter-low", "filter-high"];

const sender = new Sender((how, message) => {
  const text = { saved: "Saved", saving: "Saving…", failing: `Not saved yet, trying again: ${message}`, refused: `Refused: ${message}` }[how];
  $("saved").textContent = text;
  $("saved").title = text;
  $("saved").className = { saving: "wait", failing: "bad", refused: "bad" }[how] ?? "";
});
const measure = new Measure(state, () => overlay.redraw());
const view = new SlideView(state, measure, { click: clickFigure, add: (x, y) => addFigure(x, y), note });
const { viewer } = view;
const overlay = new Overlay($("overlay"), viewer, state, measure);
const map = new MiniMap($("map"), state, overlay, (x, y) => view.goTo(x, y), (slug, value) => sender.remark(slug, { kind: "viewed", value }));
const gallery = new Gallery($("gallery"), state, (row) => choose(row), () => showSelection());
const card = new FigureCard(state, gallery, sender);
const counts = new Counts(state, overlay, sender, () => map.draw());
const comparison = new Comparison(state, sender, { sortGallery, update: () => { comparison.show(); gallery.mark(); card.show(); overlay.redraw(); } });
const worklist = new Worklist(state, sender, (slug) => { openList(false); return openSlide(slug); });
const { addFigure, decide, undo } = decisions({ announce, card, choose, gallery, poll, refresh, select, sender, state, worklist });
const learning = new Learning(state, { announce, openSlide, sender, worklist });
window.metaphase = { state, viewer, view, overlay, gallery, sender, map, measure }; // for the console and tests

// ---- slides

async function start() {
  state.session = await get("api/session");
  state.labels = state.session.labels;
  $("reader").textContent = state.session.reviewer + (state.session.blind ? " (blind)" : "");
  await worklist.load();
  await learning.load();
  const wanted = decodeURIComponent(location.hash.slice(1));
  await openSlide(state.slides.find((s) => s.name === wanted)?.slug ?? learning.first ?? state.slides[0].slug);
  await worklist.readers();
  setInterval(poll, POLL_MS);
}

let opening;
async function openSlide(slug) {
  const asked = (opening = {});
  note("");
  clearTimeout(later);
  flushAll();
  let slide, buffer, news, compared;
  try {
    [slide, buffer, news] = await Promise.all([
      get(`api/slides/${slug}`), getBytes(`api/slides/${slug}/figures`), get(`api/slides/${slug}/decisions`),
    ]);
    compared = await loadComparison(slide, slide.threshold);
  } catch (error) {
    return asked === opening ? note(error.message) : undefined;
  }
  if (asked !== opening) return; // another slide was chosen meanwhile
  Object.assign(state, { slide, figures: new Figures(buffer, slide), current: -1, threshold: slide.threshold, seq: 0, remarksSeq: -1, undo: [], comments: new Map(), comparison: null });
  gallery.clear();
  counts.clear();
  measure.reset();
  take(news);
  state.undo = news.decisions.filter((d) => d.state && d.reviewer === state.session.reviewer)
    .sort((a, b) => a.time.localeCompare(b.time))
    .map((d) => ({ figures: [d.figure], ...describe([state.figures.row(d.figure)], state.figures, d.state) }));
  comparison.open(compared);
  view.open(slide);
  map.open(slide);
  location.hash = encodeURIComponent(slide.name);
  showSlide(slide, state.comparison);
  learning.show();
  setThreshold(slide.threshold);
  sortGallery();
  select(-1);
}

function note(text) {
  $("stage-note").textContent = text;
  $("stage-note").hidden = !text;
}

// ---- what the server knows

function take({ seq, decisions, complete, comments, atypical, remarks_seq: remarksSeq }) {
  const { figures } = state;
  Object.assign(state, { seq, remarksSeq });
  setComplete(complete);
  for (const d of decisions) {
    let row = figures.row(d.figure);
    if (!d.state) {
      if (row >= 0) figures.decide(row, OPEN, null);
      continue;
    }
    // Added by a reader, or found by an earlier model and not by this one.
    if (row < 0 && d.x_px !== null && figures.stands(d.figure)) row = figures.add(d.figure, d.x_px, d.y_px, state.labels.indexOf(d.label));
    if (row >= 0) figures.decide(row, STATES.indexOf(d.state), d.label ? state.labels.indexOf(d.label) : null, d.reviewer);
  }
  if (!comments) return;
  figures.marked = new Map(Object.entries(atypical));
  state.comments = new Map();
  for (const c of comments) state.comments.set(c.figure, [...(state.comments.get(c.figure) ?? []), c]);
}

async function poll() {
  if (document.hidden || !state.slide || sender.waiting) return;
  const { slug } = state.slide, { sent } = sender;
  try {
    const news = await get(`api/slides/${slug}/decisions?after=${state.seq}&remarks_after=${state.remarksSeq}`);
    const same = news.seq === state.seq && news.remarks_seq === state.remarksSeq;
    if (slug !== state.slide.slug || sender.sent !== sent || same) return;
    take(news);
    refresh();
    worklist.loadSoon();
  } catch { /* the next decision reports it */ }
}

// ---- threshold, lists and progress

let later;
const keeping = new Delayed(500);
function setThreshold(value, keep = false) {
  state.threshold = Math.min(1, Math.max(0, value));
  $("threshold").value = state.threshold;
  $("threshold-value").textContent = state.threshold.toFixed(2);
  $("threshold-reset").hidden = Math.abs(state.threshold - state.slide.default_threshold) < 1e-9;
  $("threshold-reset").textContent = `detector: ${state.slide.default_threshold.toFixed(2)}`;
  refresh();
  clearTimeout(later);
  later = setTimeout(() => sortGallery(true), 160);
  if (!keep) return;
  const { slug } = state.slide, { threshold } = state;
  keeping.call(() => { sender.remark(slug, { kind: "threshold", value: String(threshold) }); worklist.loadSoon(); });
}

function sortGallery(keep = false) {
  clearTimeout(later); // a sort that waits would take a new selection away
  if (!state.figures) return;
  const number = (id, otherwise) => ($(id).value === "" ? otherwise : Number($(id).value));
  const filters = FILTERS.filter((id) => $(id).value !== "").length;
  $("filters-on").textContent = filters ? `: ${filters} ${filters === 1 ? "filter" : "filters"} on` : "";
  $("filters-clear").hidden = !filters;
  gallery.sort({
    filters,
    order: $("order").value, which: $("which").value, label: $("filter-label").value, atypical: $("filter-atypical").value, reader: $("filter-reader").value, verdict: $("filter-state").value,
    low: number("filter-low", -Infinity), high: number("filter-high", Infinity), threshold: state.threshold, limit: state.limit,
  }, keep);
  comparison.show();
  progress();
}

function refresh() {
  const { figures } = state;
  $("count").textContent = figures.count(state.threshold).toLocaleString("en");
  const numbers = [0, 0, 0, 0, 0];
  for (let i = 0; i < figures.n; i++) {
    if (figures.source[i] !== figures.reviewed) numbers[figures.source[i] === MODEL ? 4 : 2] += state.counted(i);
    else if (figures.state[i] === REJECTED) numbers[3]++;
    else if (figures.upForReview(i) && (figures.state[i] !== OPEN || figures.score[i] >= state.cut)) numbers[figures.now[i]]++;
  }
  numbers.forEach((n, k) => { $(`n-${k}`).textContent = n.toLocaleString("en"); });
  counts.histogram();
  progress();
  gallery.mark();
  card.show();
  overlay.redraw();
  counts.ask();
  comparison.show();
  comparison.ask();
}

function progress() {
  const { figures } = state;
  const waiting = figures.waiting(state.limit);
  let decided = 0;
  for (let i = 0; i < figures.n; i++) if (figures.upForReview(i) && figures.state[i] !== OPEN) decided++;
  $("to-review").textContent = waiting.toLocaleString("en");
  $("progress").textContent = `to review, ${decided.toLocaleString("en")} decided`;
  $("reviewed").hidden = waiting > 0 || !decided || state.complete;
  $("bar").value = waiting + decided ? decided / (waiting + decided) : 1;
  $("page-text").textContent = `${gallery.order.length.toLocaleString("en")} figures, page ${gallery.page + 1} of ${gallery.pages}`;
  $("page-back").disabled = gallery.page === 0;
  $("page-on").disabled = gallery.page >= gallery.pages - 1;
}

function clearFilters() {
  for (const id of FILTERS) $(id).value = "";
  sortGallery();
}

function showSelection() {
  const n = gallery.selection.size;
  $("selection").textContent = n ? `${n} selected` : "";
  $("select-none").hidden = !n;
  card.show();
}

// ---- one figure or many

function select(row) {
  state.current = row;
  card.show();
  overlay.redraw();
}

function choose(row) {
  if (row < 0) return;
  select(row);
  gallery.show(row);
  progress();
  view.goTo(state.figures.x[row], state.figures.y[row], 20);
}

function clickFigure(x, y, reach) {
  const { figures } = state, find = (accept) => figures.nearest(x, y, reach, (i) => state.visible(i) && accept(i));
  const reviewed = find((i) => figures.upForReview(i));
  const row = reviewed >= 0 ? reviewed : find(() => true);
  if (row >= 0) { select(row); gallery.show(row); progress(); }
}

function announce(text) {
  $("announce").textContent = text;
}

// ---- a slide as a whole

function setComplete(complete) {
  state.complete = complete;
  $("complete").setAttribute("aria-pressed", complete);
  $("complete").lastChild.textContent = complete ? " Slide is complete" : " Mark slide as complete";
  if (complete) $("reviewed").hidden = true;
}

function toggleComplete() {
  const { figures, slide } = state;
  const undecided = figures.reviewed === 0 ? figures.waiting(state.threshold) : 0;
  if (!state.complete && undecided) return askToReview(undecided);
  setComplete(!state.complete);
  const body = { figure: "", state: state.complete ? "complete" : "undone" };
  sender.decision(slide.slug, body, (why) => { setComplete(false); note(why); });
  announce(state.complete ? "The slide is complete." : "The slide is not complete.");
  worklist.loadSoon();
}

function askToReview(undecided) {
  $("undecided-text").textContent = `${undecided === 1 ? "1 figure" : `${undecided.toLocaleString("en")} figures`} above the threshold of ${state.threshold.toFixed(2)} ${undecided === 1 ? "is" : "are"} undecided. A complete slide is exported as labelled, and undecided figures would be exported as negatives.`;
  $("undecided").showModal();
}

function showUndecided() {
  $("which").value = "above";
  sortGallery();
  choose(gallery.order[0] ?? -1);
}

function openList(open) {
  $("slides").classList.toggle("open", open);
  $("slides-toggle").setAttribute("aria-expanded", open);
}

function toggleDensity() {
  $("show-density").checked = state.showDensity = !state.showDensity;
  overlay.redraw();
  counts.ask();
}

function goToPlace(event) {
  event.preventDefault();
  const [x, y] = $("go-place").value.split(/[\s,;]+/).map(Number);
  const { slide, figures } = state;
  if (!(x >= 0 && y >= 0 && x <= slide.width_px && y <= slide.height_px)) return $("go-place").setAttribute("aria-invalid", "true");
  $("go-place").removeAttribute("aria-invalid");
  const row = figures.nearest(x, y, figures.reach, (i) => figures.upForReview(i));
  if (row >= 0) choose(row);
  else view.goTo(x, y, 20);
}

// ---- keys and controls

function escape() {
  if ($("slides").classList.contains("open")) {
    openList(false);
    return $("slides-toggle").focus();
  }
  if (measure.clear()) return;
  if (gallery.selection.size) return gallery.clearSelection();
  view.use("move");
}

const toggleAtypical = atypicalToggle({ announce, card, refresh, sender, state });
const page = {
  addFigure, choose, clearFilters, decide, escape, filters: FILTERS, gallery, goHotspot: () => overlay.hotspot && view.fit(overlay.hotspot.box), goToPlace, nextSlide: () => openSlide(worklist.next()), openList, overlay, progress, sender,
  setThreshold, showUndecided, sortGallery, state, toggleAtypical, toggleComplete, toggleDensity, undo, view, worklist,
};
const keys = reviewKeys(page);
listen(keys, page);
connect(keys, page);

overlay.onview = ({ scale }) => {
  view.report();
  map.look(overlay.inView(), state.slide.mpp / scale);
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => counts.histogram());

start().catch((error) => note(error.message));
