// The buttons, fields and boxes of the review page, connected with what they do.
import { LABELS, MODEL } from "./comparison.js";

const $ = (id) => document.getElementById(id);
const on = (id, event, act) => $(id).addEventListener(event, act);

/** Connect all controls. `keys` are the actions of the keys, `page` is what main.js hands over. */
export function connect(keys, page) {
  const { clearFilters, filters, gallery, goHotspot, goToPlace, openList, overlay, progress, sender, setThreshold, showUndecided, sortGallery, state, toggleComplete, toggleDensity, undo, worklist } = page;
  on("threshold", "input", (event) => setThreshold(Number(event.target.value), true));
  on("threshold-reset", "click", () => setThreshold(state.slide.default_threshold, true));
  on("go-hotspot", "click", goHotspot);
  on("do-confirm", "click", keys.c);
  on("do-reject", "click", keys.x);
  on("do-relabel", "click", keys.r);
  on("do-atypical", "click", keys.t);
  on("do-next", "click", keys.n);
  on("do-previous", "click", keys.p);
  on("do-undo", "click", undo);
  on("complete", "click", toggleComplete);
  on("undecided-show", "click", showUndecided);
  on("assigned", "change", (event) => { sender.remark(state.slide.slug, { kind: "assigned", value: event.target.value.trim() }); worklist.loadSoon(); });
  on("select-mode", "click", () => { gallery.selecting = !gallery.selecting; $("select-mode").setAttribute("aria-pressed", gallery.selecting); });
  on("select-all", "click", () => gallery.selectAll());
  on("select-none", "click", () => gallery.clearSelection());
  on("go-form", "submit", goToPlace);
  on("filters-clear", "click", clearFilters);
  on("next-slide", "click", keys.s);
  for (const id of ["order", "which", ...filters]) on(id, "change", () => sortGallery());
  on("page-back", "click", () => { gallery.turn(-1); progress(); });
  on("page-on", "click", () => { gallery.turn(1); progress(); });
  on("export", "click", async (event) => { // the export would lack what is not saved yet
    if (!sender.waiting) return;
    event.preventDefault();
    await sender.idle();
    $("export").click();
  });
  on("skip", "click", () => $("panel").focus());
  on("help-open", "click", keys["?"]);
  on("slides-toggle", "click", () => openList(!$("slides").classList.contains("open")));
  const shows = { "show-rejected": "showRejected", "show-hotspot": "showHotspot" };
  for (const [id, name] of Object.entries(shows)) on(id, "change", (event) => { state[name] = event.target.checked; overlay.redraw(); });
  for (const [id, source] of [["show-ref", LABELS], ["show-second", MODEL]]) on(id, "change", (event) => { state.showReference[source] = event.target.checked; overlay.redraw(); });
  for (const k of [0, 1]) on(`show-${k}`, "change", (event) => { state.showLabel[k] = event.target.checked; overlay.redraw(); });
  on("show-density", "change", (event) => { state.showDensity = !event.target.checked; toggleDensity(); });
}
