// Decisions about one figure or many, figures that readers add, and undoing.
import { newId } from "./api.js";
import { undoAtypical } from "./atypical.js";
import { target } from "./comparison.js";
import { describe } from "./figurecard.js";
import { ADDED, OPEN, STATES } from "./figures.js";

/** Return what keys, buttons and clicks do to figures. `page` is what main.js hands over. */
export function decisions({ announce, card, choose, gallery, poll, refresh, select, sender, state, worklist }) {
  function decide(word) {
    const { figures } = state;
    const many = gallery.selection.size > 0, rows = [];
    for (const i of card.targets) {
      const row = target(state, i);
      if (figures.upForReview(row) || word === "rejected") rows.push(put(row, word));
      else if (word === "confirmed") rows.push(place(figures.x[row], figures.y[row], figures.now[row]));
    }
    if (!rows.length) return card.targets.length ? announce("Only confirm or reject it: the detector did not find it.") : undefined;
    state.undo.push({ from: state.current, figures: rows.map((i) => figures.id(i)), ...describe(rows, figures, word) });
    const next = many ? -1 : gallery.step(1, true);
    if (many) gallery.clearSelection();
    refresh();
    announce(`${word}${rows.length > 1 ? ` ${rows.length} figures` : ""}. ${document.getElementById("to-review").textContent} to review.`);
    if (next >= 0) choose(next);
    worklist.loadSoon();
  }

  // Decides about a figure; returns its row.
  function put(row, word) {
    const { figures, session, slide } = state;
    const label = word === "relabelled" ? 1 - figures.now[row] : figures.now[row];
    figures.decide(row, STATES.indexOf(word), label, session.reviewer);
    sender.decision(slide.slug, { figure: figures.id(row), state: word, label: state.labels[label] });
    return row;
  }

  // Adds a figure; returns its row.
  function place(x, y, label) {
    const { figures, slide } = state, id = `a-${newId()}`;
    const row = figures.add(id, x, y, label);
    figures.decide(row, ADDED, label, state.session.reviewer);
    sender.decision(slide.slug, { figure: id, state: "added", label: state.labels[label], x_px: x, y_px: y });
    return row;
  }

  function undo() {
    const entry = state.undo.pop();
    if (!entry) return;
    const { figures } = state;
    let row = -1;
    if (entry.atypical) undoAtypical({ sender, state }, entry.atypical);
    for (const figure of entry.figures) {
      sender.decision(state.slide.slug, { figure, state: "undone" });
      row = figures.row(figure);
      if (row >= 0) figures.decide(row, OPEN, null);
    }
    // The server knows what was decided before: ask once it has the undoing.
    sender.idle().then(poll);
    refresh();
    announce(`Undone: ${entry.what} ${entry.detail}`);
    const back = [row, entry.from ?? -1].find((i) => i >= 0 && figures.exists(i));
    if (back === undefined) select(-1);
    else choose(back);
    worklist.loadSoon();
  }

  function addFigure(x, y, label = 0) {
    const { figures, slide } = state;
    if (x < 0 || y < 0 || x > slide.width_px || y > slide.height_px) return;
    const known = figures.nearest(x, y, figures.reach, (i) => figures.upForReview(i) && state.visible(i));
    if (known >= 0) return choose(known);
    const row = place(x, y, label);
    state.undo.push({ figures: [figures.id(row)], what: "add", detail: `x ${Math.round(x)}, y ${Math.round(y)}` });
    gallery.clearSelection();
    select(row);
    refresh();
    announce("Added a figure.");
    worklist.loadSoon();
  }

  return { addFigure, decide, undo };
}
