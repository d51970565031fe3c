// The keys of the review page: what each does, and the listener for them.

const $ = (id) => document.getElementById(id);

/** Return the action of every key. `page` is what main.js hands over. */
export function reviewKeys(page) {
  const { addFigure, toggleAtypical, choose, decide, escape, gallery, goHotspot, nextSlide, overlay, setThreshold, state, toggleComplete, toggleDensity, undo, view } = page;
  return {
    c: () => decide("confirmed"), x: () => decide("rejected"), r: () => decide("relabelled"), t: toggleAtypical,
    n: () => choose(gallery.step(1)), p: () => choose(gallery.step(-1)), u: undo,
    a: () => addFigure(...view.middle), e: () => $("comment").focus(),
    h: goHotspot, d: toggleDensity, s: nextSlide, m: toggleComplete, l: () => view.use(view.tool === "ruler" ? "move" : "ruler"),
    v: () => { state.hidden = !state.hidden; overlay.redraw(); },
    1: () => view.magnify(5), 2: () => view.magnify(10), 3: () => view.magnify(20), 4: () => view.magnify(40),
    "[": () => setThreshold(state.threshold - 0.01, true), "]": () => setThreshold(state.threshold + 0.01, true),
    "?": () => $("help").showModal(), escape,
  };
}

/** Call the action of a key that is pressed outside of fields and dialogs. */
export function listen(keys, { state, undo, view }) {
  addEventListener("keydown", (event) => {
    if (!state.slide || document.querySelector("dialog[open]")) return;
    const undoing = (event.ctrlKey || event.metaKey) && event.key === "z";
    const writing = event.target.matches("select, textarea, input:not([type=range]):not([type=checkbox])");
    if (writing && event.key === "Escape") return event.target.blur();
    if (writing || (!undoing && (event.ctrlKey || event.metaKey || event.altKey))) return;
    const act = undoing ? undo : ($("osd").contains(event.target) && view.keys[event.key]) || keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }, true); // before OpenSeadragon, which has letters of its own
}
