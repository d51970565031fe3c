// The readers' decision whether mitotic figures are atypical.
import { REJECTED } from "./figures.js";

/** Return what the key and the button do: call the figures under review atypical, or where all of them are, not. */
export function atypicalToggle({ announce, card, refresh, sender, state }) {
  return () => {
    const { figures, slide } = state;
    const rows = card.targets.filter((i) => figures.upForReview(i) && figures.now[i] === 0 && figures.state[i] !== REJECTED);
    if (!rows.length) return;
    const value = !rows.every((i) => figures.atypical(i));
    for (const i of rows) {
      figures.marked.set(figures.id(i), value);
      sender.remark(slide.slug, { kind: "atypical", figure: figures.id(i), value: value ? "yes" : "no" });
    }
    refresh();
    announce(value ? "Marked as atypical." : "Marked as not atypical.");
  };
}
