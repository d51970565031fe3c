// The readers' decision whether mitotic figures are atypical.
import { REJECTED } from "./figures.js";

/** Return what the key and the button do: call the figures under review atypical, or where all of them are, not. */
export function atypicalToggle({ announce, card, refresh, sender, state }) {
  return () => {
    const { figures, slide } = state;
    const rows = card.targets.filter((i) => figures.upForReview(i) && figures.now[i] === 0 && figures.state[i] !== REJECTED);
    if (!rows.length) return;
    const value = !rows.every((i) => figures.atypical(i));
    const before = rows.map((i) => [figures.id(i), figures.marked.get(figures.id(i))]);
    const [one] = rows, detail = rows.length > 1 ? "" : `score ${figures.score[one].toFixed(2)}`;
    state.undo.push({ from: one, figures: [], atypical: before, what: `${value ? "atypical" : "not atypical"}${rows.length > 1 ? ` ×${rows.length}` : ""}`, detail });
    for (const i of rows) {
      figures.marked.set(figures.id(i), value);
      sender.remark(slide.slug, { kind: "atypical", figure: figures.id(i), value: value ? "yes" : "no" });
    }
    refresh();
    announce(value ? "Marked as atypical." : "Marked as not atypical.");
  };
}

/** Take a marking back: every figure is as it was before. */
export function undoAtypical({ sender, state }, before) {
  for (const [figure, value] of before) {
    if (value === undefined) state.figures.marked.delete(figure);
    else state.figures.marked.set(figure, value);
    sender.remark(state.slide.slug, { kind: "atypical", figure, value: value === undefined ? "" : value ? "yes" : "no" });
  }
}
