// The page: opens slides, listens to keys and controls, keeps everything in step.
import { get, getBytes, newId, Sender } from "./api.js";
import { ADDED, Figures, OPEN, STATES } from "./figures.js";
import { cropAddress, Gallery } from "./gallery.js";
import { Overlay } from "./overlay.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 2500;
const SNAP_UM = 7.5; // a double-click so near to a figure selects it

const state = {
  session: null, slides: [], slide: null, figures: null, labels: [], current: -1, threshold: 0.5,
  showLabel: [true, true], showReference: true, showRejected: true, showHotspot: true, showDensity: false,
  hidden: false, seq: 0, complete: false, undo: [],
  visible(i) {
    const f = this.figures;
    if (f.source[i] !== f.reviewed) return this.showReference;
    if (!f.upForReview(i)) return false;
    if (f.state[i] === 2) return this.showRejected;
    return this.showLabel[f.now[i]] && (f.state[i] !== OPEN || f.score[i] >= this.cut);
  },
  get cut() { return Math.fround(this.threshold); },
};

const viewer = OpenSeadragon({
  element: $("osd"), showNavigationControl: false, showNavigator: false, animationTime: 0.35,
  maxZoomPixelRatio: 8, minZoomImageRatio: 0.8, visibilityRatio: 0.3, drawer: "canvas",
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
  gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
  gestureSettingsPen: { clickToZoom: false, dblClickToZoom: false },
  imageLoaderLimit: 8, timeout: 60000, crossOriginPolicy: false,
});
const overlay = new Overlay($("overlay"), viewer, state);
const gallery = new Gallery($("gallery"), state, (row) => choose(row));
const sender = new Sender((how, message) => {
  const text = { saved: "Saved", saving: "Saving…", failing: "Not saved yet, trying again", refused: `Refused: ${message}` }[how];
  $("saved").textContent = text;
  $("saved").className = { saving: "wait", failing: "bad", refused: "bad" }[how] ?? "";
});
window.metaphase = { state, viewer, overlay, gallery, sender }; // for a look from the console, and for tests

// ---- slides

async function start() {
  state.session = await get("/api/session");
  state.labels = state.session.labels;
  $("reader").textContent = state.session.reviewer + (state.session.blind ? " (blind)" : "");
  await listSlides();
  const wanted = decodeURIComponent(location.hash.slice(1));
  await openSlide((state.slides.find((s) => s.name === wanted) ?? state.slides[0]).slug);
  readers();
  setInterval(poll, POLL_MS);
}

async function listSlides() {
  state.slides = await get("/api/slides");
  $("slide-list").replaceChildren(...state.slides.map((slide) => {
    const item = document.createElement("li"), button = document.createElement("button");
    const name = document.createElement("b"), count = document.createElement("span"), status = document.createElement("span");
    name.textContent = slide.name;
    name.title = slide.file;
    count.textContent = slide.count.toLocaleString("en");
    count.title = "mitotic figures";
    status.className = slide.complete ? "status done" : "status";
    status.textContent = slide.complete ? "✓ complete" : slide.decided ? `${slide.decided} of ${slide.figures} decided` : `${slide.figures.toLocaleString("en")} to review`;
    button.append(name, count, status);
    button.dataset.slug = slide.slug;
    button.setAttribute("aria-current", slide.slug === state.slide?.slug);
    button.onclick = () => { openSlide(slide.slug); openList(false); };
    item.append(button);
    return item;
  }));
}

async function openSlide(slug) {
  note("");
  let slide, buffer, decisions;
  try {
    [slide, buffer, decisions] = await Promise.all([
      get(`/api/slides/${slug}`), getBytes(`/api/slides/${slug}/figures`), get(`/api/slides/${slug}/decisions`),
    ]);
  } catch (error) {
    return note(error.message);
  }
  Object.assign(state, { slide, figures: new Figures(buffer, slide), current: -1, threshold: slide.threshold, seq: 0, undo: [] });
  gallery.clear();
  overlay.hotspot = null;
  overlay.setDensity(null);
  take(decisions);
  state.undo = decisions.decisions.filter((d) => d.state && d.reviewer === state.session.reviewer)
    .sort((a, b) => a.time.localeCompare(b.time)).map((d) => d.figure);
  viewer.open({
    width: slide.width_px, height: slide.height_px, tileSize: slide.tile_px, tileOverlap: 0,
    minLevel: Math.max(0, slide.levels - 12), maxLevel: slide.levels,
    getTileUrl: (level, x, y) => `/api/slides/${slug}/tiles/${level}/${x}/${y}`,
  });
  location.hash = encodeURIComponent(slide.name);
  document.title = `${slide.name} · metaphase review`;
  $("slide-name").textContent = slide.name;
  $("slide-facts").textContent = [`${slide.width_px} × ${slide.height_px} px`, `${slide.mpp.toFixed(4)} µm/px`, slide.model, ...slide.notes].filter(Boolean).join(" · ");
  $("show-ref-line").hidden = !(slide.candidates === 0 && slide.labels);
  for (const button of $("slide-list").querySelectorAll("button")) button.setAttribute("aria-current", button.dataset.slug === slug);
  $("hot-count").textContent = "–";
  setThreshold(slide.threshold);
  select(-1);
}

function note(text) {
  $("stage-note").textContent = text;
  $("stage-note").hidden = !text;
}

// ---- what the server knows

function take({ seq, decisions, complete }) {
  const { figures } = state;
  state.seq = seq;
  setComplete(complete);
  for (const d of decisions) {
    let row = figures.row(d.figure);
    if (!d.state) {
      if (row >= 0) figures.decide(row, OPEN, null);
      continue;
    }
    if (row < 0 && d.x_px !== null && d.figure.startsWith("a")) row = figures.add(d.figure, d.x_px, d.y_px, state.labels.indexOf(d.label));
    if (row >= 0) figures.decide(row, STATES.indexOf(d.state), d.label ? state.labels.indexOf(d.label) : null, d.reviewer);
  }
}

async function poll() {
  if (document.hidden || !state.slide || sender.waiting) return;
  const { slug } = state.slide;
  try {
    const news = await get(`/api/slides/${slug}/decisions?after=${state.seq}`);
    if (slug !== state.slide.slug || sender.waiting || news.seq === state.seq) return;
    take(news);
    refresh();
    listSlides();
  } catch { /* the next decision will tell */ }
}

// ---- counting

let later;
function setThreshold(value) {
  state.threshold = Math.min(1, Math.max(0, value));
  $("threshold").value = state.threshold;
  $("threshold-value").textContent = state.threshold.toFixed(2);
  refresh();
  clearTimeout(later);
  later = setTimeout(sortGallery, 160);
}

function sortGallery() {
  if (!state.figures) return;
  gallery.sort({ order: $("order").value, which: $("which").value, threshold: state.slide.threshold || state.threshold });
  progress();
}

function refresh() {
  const { figures } = state;
  $("count").textContent = figures.count(state.threshold).toLocaleString("en");
  const numbers = [0, 0, 0, 0];
  for (let i = 0; i < figures.n; i++) {
    if (figures.source[i] !== figures.reviewed) numbers[2]++;
    else if (figures.state[i] === 2) numbers[3]++;
    else if (figures.upForReview(i) && (figures.state[i] !== OPEN || figures.score[i] >= state.cut)) numbers[figures.now[i]]++;
  }
  numbers.forEach((n, k) => { $(`n-${k}`).textContent = n.toLocaleString("en"); });
  histogram();
  progress();
  gallery.mark();
  card();
  overlay.redraw();
  askHotspot();
}

function progress() {
  const { figures } = state;
  let offered = 0, decided = 0;
  for (let i = 0; i < figures.n; i++) {
    if (!figures.upForReview(i)) continue;
    const done = figures.state[i] !== OPEN;
    if (done || figures.score[i] >= state.cut) offered++;
    if (done) decided++;
  }
  $("progress").textContent = `${decided.toLocaleString("en")} decided, ${(offered - decided).toLocaleString("en")} left at this threshold`;
  $("bar").value = offered ? decided / offered : 0;
  $("page-text").textContent = `Page ${gallery.page + 1} of ${gallery.pages}`;
  $("page-back").disabled = gallery.page === 0;
  $("page-on").disabled = gallery.page >= gallery.pages - 1;
}

let asking, asked;
function askHotspot() {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    for (const id of ["hot-count", "measures"]) $(id).classList.add("old");
    const { slide, threshold } = state;
    const [shape, area] = $("window").value.split(",");
    const question = new URLSearchParams({ threshold, shape });
    if (area) question.set("area_mm2", area);
    if ($("field").value && $("field").checkValidity()) question.set("field_mm", $("field").value);
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`/api/slides/${slide.slug}/hotspot?${question}`, { signal: asked.signal });
      if (answer.status === 204) return;
      if (!answer.ok) throw new Error(`${answer.status}`);
      const found = await answer.json();
      if (slide !== state.slide || sender.waiting) return;
      showCount(found);
      if (state.showDensity) overlay.setDensity(await get(`/api/slides/${slide.slug}/density?threshold=${threshold}`));
    } catch { /* overtaken by a newer question, or the server is away */ }
  }, sender.waiting ? 400 : 90);
}

function showCount({ hotspot, hotspot_estimate: interval, interval_from: source, score, notes, window_mm2: area }) {
  overlay.hotspot = hotspot;
  for (const id of ["hot-count", "measures"]) $(id).classList.remove("old");
  $("hot-count").textContent = hotspot ? hotspot.count.toLocaleString("en") : "0";
  $("hot-what").textContent = `hotspot, ${(hotspot?.area_mm2 ?? area).toFixed(2)} mm²`;
  $("hot-interval").textContent = interval ? `${interval.low} to ${interval.high}` : "not known";
  $("hot-density").textContent = hotspot ? hotspot.per_mm2.toFixed(2) : "0";
  const others = score?.could_be.filter((value) => value !== score.score) ?? [];
  $("hot-score").textContent = score ? `${score.score}${others.length ? `, could be ${others.join(" or ")}` : ""}` : "needs a field diameter";
  $("hot-score").title = score ? `Field of ${score.field_diameter_mm.toFixed(2)} mm: 1 up to ${score.cuts[0]}, 2 up to ${score.cuts[1]} in ten fields` : "";
  $("hot-score").classList.toggle("tips", others.length > 0);
  $("count-notes").replaceChildren(...notes.map((text) => Object.assign(document.createElement("li"), { textContent: text.replaceAll("mm2", "mm²") })));
  $("interval-from").hidden = !(interval && source);
  $("interval-source").textContent = source ? `${source[0].toUpperCase()}${source.slice(1)}.` : "";
  overlay.redraw();
}

function histogram() {
  const canvas = $("histogram"), ratio = devicePixelRatio || 1, bins = 50;
  const width = (canvas.width = canvas.clientWidth * ratio), height = (canvas.height = canvas.clientHeight * ratio);
  const context = canvas.getContext("2d"), { figures } = state;
  const counts = new Float64Array(bins);
  for (let i = 0; i < figures.given; i++) if (figures.upForReview(i)) counts[Math.min(bins - 1, Math.floor(figures.score[i] * bins))]++;
  const most = Math.log1p(Math.max(1, ...counts));
  const style = getComputedStyle(document.body);
  counts.forEach((n, k) => {
    const tall = (Math.log1p(n) / most) * (height - 2);
    context.fillStyle = style.getPropertyValue((k + 0.5) / bins >= state.threshold ? "--accent" : "--rule");
    context.fillRect(8 * ratio + (k * (width - 16 * ratio)) / bins, height - tall, (width - 16 * ratio) / bins - ratio, tall);
  });
}

// ---- one figure

function select(row) {
  state.current = row;
  card();
  overlay.redraw();
}

function choose(row) {
  if (row < 0) return;
  select(row);
  gallery.show(row);
  progress();
  const { slide, figures } = state;
  const zoom = viewer.viewport.imageToViewportZoom(Math.min(1.5, slide.mpp / 0.2));
  if (viewer.viewport.getZoom() < zoom * 0.6) viewer.viewport.zoomTo(zoom, null, true);
  viewer.viewport.panTo(new OpenSeadragon.Point(figures.x[row] / slide.width_px, figures.y[row] / slide.width_px));
}

function card() {
  const { figures, current, slide } = state;
  const any = current >= 0;
  for (const id of ["do-confirm", "do-reject", "do-relabel"]) $(id).disabled = !any;
  $("do-undo").disabled = !state.undo.length;
  if (!any) {
    $("current-crop").removeAttribute("src");
    $("current-title").textContent = "No figure selected";
    $("current-facts").textContent = "N takes the first of the gallery.";
    $("current-state").textContent = "";
    return;
  }
  const address = cropAddress(slide, figures.x[current], figures.y[current], 256);
  if ($("current-crop").getAttribute("src") !== address) $("current-crop").src = address;
  const label = state.labels[figures.now[current]];
  $("current-title").textContent = label[0].toUpperCase() + label.slice(1);
  const score = current < figures.given && figures.source[current] === 0 ? `Score ${figures.score[current].toFixed(3)}\n` : "";
  $("current-facts").textContent = `${score}x ${Math.round(figures.x[current])}, y ${Math.round(figures.y[current])}`;
  const who = figures.who.get(current);
  const word = STATES[figures.state[current]];
  $("current-state").textContent = word ? `${word[0].toUpperCase()}${word.slice(1)}${who ? ` by ${who}` : ""}` : "To review";
}

function decide(word) {
  const { figures, current, slide } = state;
  if (current < 0 || !figures.upForReview(current)) return;
  const now = figures.now[current];
  const label = word === "relabelled" ? 1 - now : now;
  figures.decide(current, STATES.indexOf(word), label, state.session.reviewer);
  const figure = figures.id(current);
  state.undo.push(figure);
  sender.send(slide.slug, { figure, state: word, label: state.labels[label] });
  const next = gallery.step(1, true);
  refresh();
  if (next >= 0) choose(next);
  listSoon();
}

function undo() {
  const figure = state.undo.pop();
  if (figure === undefined) return;
  sender.send(state.slide.slug, { figure, state: "undone" });
  const row = state.figures.row(figure);
  if (row >= 0) state.figures.decide(row, OPEN, null);
  // What stood before the undone decision is known to the server: ask once it has it.
  setTimeout(poll, 300);
  refresh();
  if (row >= 0 && state.figures.upForReview(row)) choose(row);
  else select(-1);
  listSoon();
}

function addFigure(x, y) {
  const { figures, slide } = state;
  if (x < 0 || y < 0 || x > slide.width_px || y > slide.height_px) return;
  const known = figures.nearest(x, y, SNAP_UM / slide.mpp, (i) => figures.upForReview(i) && state.visible(i));
  if (known >= 0) return choose(known);
  const id = `a-${newId()}`;
  const row = figures.add(id, x, y, 0);
  figures.decide(row, ADDED, 0, state.session.reviewer);
  state.undo.push(id);
  sender.send(slide.slug, { figure: id, state: "added", label: state.labels[0], x_px: x, y_px: y });
  select(row);
  refresh();
  listSoon();
}

let listing;
function listSoon() {
  clearTimeout(listing);
  listing = setTimeout(listSlides, 900);
}

function setComplete(complete) {
  state.complete = complete;
  $("complete").setAttribute("aria-pressed", complete);
  $("complete").lastChild.textContent = complete ? " Slide is complete" : " Mark slide as complete";
}

function toggleComplete() {
  setComplete(!state.complete);
  sender.send(state.slide.slug, { figure: "", state: state.complete ? "complete" : "undone" });
  listSoon();
}

// ---- controls

function goHotspot() {
  const { hotspot } = overlay, { slide } = state;
  if (!hotspot) return;
  const [x1, y1, x2, y2] = hotspot.box.map((v) => v / slide.width_px);
  const margin = (x2 - x1) * 0.06;
  viewer.viewport.fitBounds(new OpenSeadragon.Rect(x1 - margin, y1 - margin, x2 - x1 + 2 * margin, y2 - y1 + 2 * margin));
}

function openList(open) {
  $("slides").classList.toggle("open", open);
  $("slides-toggle").setAttribute("aria-expanded", open);
}

function nextSlide() {
  const k = state.slides.findIndex((s) => s.slug === state.slide.slug);
  openSlide(state.slides[(k + 1) % state.slides.length].slug);
}

function toggleDensity() {
  $("show-density").checked = state.showDensity = !state.showDensity;
  overlay.redraw();
  askHotspot();
}

const KEYS = {
  c: () => decide("confirmed"), x: () => decide("rejected"), r: () => decide("relabelled"),
  n: () => choose(gallery.step(1)), p: () => choose(gallery.step(-1)), u: undo,
  a: () => { const c = viewer.viewport.getCenter(true); addFigure(c.x * state.slide.width_px, c.y * state.slide.width_px); },
  h: goHotspot, d: toggleDensity, s: nextSlide, m: toggleComplete,
  v: () => { state.hidden = !state.hidden; overlay.redraw(); },
  "[": () => setThreshold(state.threshold - 0.01), "]": () => setThreshold(state.threshold + 0.01),
  "?": () => $("help").showModal(),
};

// Keys of the slide when it has the focus; OpenSeadragon listens on an element of its own inside.
const STEP = 0.1; // of the view
const move = (x, y) => {
  const { viewport } = viewer, { width, height } = viewport.getBounds(false);
  viewport.panBy(new OpenSeadragon.Point(x * STEP * width, y * STEP * height)).applyConstraints();
};
const zoom = (factor) => viewer.viewport.zoomBy(factor).applyConstraints();
const MOVES = {
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, -1), ArrowDown: () => move(0, 1),
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => viewer.viewport.goHome(),
};
viewer.canvas.tabIndex = -1; // one stop of the tab key, not two

addEventListener("keydown", (event) => {
  if (!state.slide || $("help").open) return;
  const undoing = (event.ctrlKey || event.metaKey) && event.key === "z";
  if (!undoing && (event.ctrlKey || event.metaKey || event.altKey)) return;
  if (event.target.matches("select, input:not([type=range]):not([type=checkbox])")) return;
  const act = undoing ? undo : ($("osd").contains(event.target) && MOVES[event.key]) || KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}, true); // before OpenSeadragon, whose own letters would turn and flip the slide

viewer.addHandler("canvas-double-click", (event) => {
  const at = viewer.viewport.pointFromPixel(event.position);
  addFigure(at.x * state.slide.width_px, at.y * state.slide.width_px);
});
viewer.addHandler("canvas-click", (event) => {
  if (!event.quick) return;
  const at = viewer.viewport.pointFromPixel(event.position);
  const { width_px } = state.slide;
  const reach = 12 / overlay.transform().scale;
  const row = state.figures.nearest(at.x * width_px, at.y * width_px, Math.max(reach, 6 / state.slide.mpp), (i) => state.visible(i) && state.figures.upForReview(i));
  if (row >= 0) { select(row); gallery.show(row); progress(); }
});
viewer.addHandler("tile-load-failed", (event) => note(`A part of the slide cannot be read: ${event.message ?? ""}`));

overlay.onview = ({ scale }) => {
  const um = (110 / scale) * state.slide.mpp;
  const power = 10 ** Math.floor(Math.log10(um));
  const nice = [5, 2, 1].map((k) => k * power).find((v) => v <= um) ?? power;
  $("scale-text").textContent = nice >= 1000 ? `${nice / 1000} mm` : `${nice} µm`;
  $("scale-bar").style.width = `${(nice / state.slide.mpp) * scale}px`;
};

const on = (id, event, act) => $(id).addEventListener(event, act);
on("threshold", "input", (event) => setThreshold(Number(event.target.value)));
on("threshold-reset", "click", () => setThreshold(state.slide.threshold));
on("zoom-in", "click", () => viewer.viewport.zoomBy(1.6));
on("zoom-out", "click", () => viewer.viewport.zoomBy(1 / 1.6));
on("home", "click", () => viewer.viewport.goHome());
on("go-hotspot", "click", goHotspot);
on("do-confirm", "click", KEYS.c);
on("do-reject", "click", KEYS.x);
on("do-relabel", "click", KEYS.r);
on("do-next", "click", KEYS.n);
on("do-previous", "click", KEYS.p);
on("do-undo", "click", undo);
on("complete", "click", toggleComplete);
on("order", "change", sortGallery);
on("which", "change", sortGallery);
on("window", "change", askHotspot);
on("field", "input", askHotspot);
on("page-back", "click", () => { gallery.turn(-1); progress(); });
on("page-on", "click", () => { gallery.turn(1); progress(); });
on("help-open", "click", KEYS["?"]);
on("slides-toggle", "click", () => openList(!$("slides").classList.contains("open")));
const shows = { "show-ref": "showReference", "show-rejected": "showRejected", "show-hotspot": "showHotspot" };
for (const [id, name] of Object.entries(shows)) on(id, "change", (event) => { state[name] = event.target.checked; overlay.redraw(); });
for (const k of [0, 1]) on(`show-${k}`, "change", (event) => { state.showLabel[k] = event.target.checked; overlay.redraw(); sortGallery(); });
on("show-density", "change", (event) => { state.showDensity = !event.target.checked; toggleDensity(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", histogram);

// ---- two readers

async function readers() {
  if (state.session.blind) return;
  const { reviewers } = await get("/api/agreement");
  if (reviewers.length < 2) return;
  $("agreement").hidden = false;
  for (const [id, k] of [["reader-a", 0], ["reader-b", 1]]) {
    $(id).replaceChildren(...reviewers.map((name) => new Option(name, name)));
    $(id).selectedIndex = k;
    $(id).onchange = agree;
  }
  agree();
}

async function agree() {
  const told = await get(`/api/agreement?first=${encodeURIComponent($("reader-a").value)}&second=${encodeURIComponent($("reader-b").value)}`);
  const number = (v) => (v === null ? "–" : v.toFixed(2));
  $("agreement-result").textContent = `Kappa ${number(told.kappa)} over ${told.both} figures both judged; F1 ${number(told.f1)} between their ${told.first} and ${told.second} mitotic figures.`;
}

start().catch((error) => note(error.message));
