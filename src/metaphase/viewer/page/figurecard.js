// The figure under review: crops at three scales, facts, comments, and what the buttons act on.
import { LABELS, scoresOfBoth, verdict } from "./comparison.js";
import { OPEN, REJECTED, STATES } from "./figures.js";
import { cropAddress } from "./gallery.js";

const $ = (id) => document.getElementById(id);
const SCALES_UM = [20, 64, 200];

export const WORDS = { confirmed: "confirm", rejected: "reject", relabelled: "relabel", added: "add" };

export class FigureCard {
  constructor(state, gallery, sender) {
    Object.assign(this, { state, gallery, sender });
    $("comment").addEventListener("change", () => this.#save());
  }

  get targets() {
    const { current, figures } = this.state;
    return this.gallery.selection.size ? [...this.gallery.selection] : current >= 0 && figures ? [current] : [];
  }

  show() {
    const { figures, current, labels, undo } = this.state;
    const targets = this.targets.length, many = this.gallery.selection.size;
    for (const [id, word] of [["do-confirm", "Confirm"], ["do-reject", "Reject"], ["do-relabel", "Relabel"], ["do-atypical", "Atypical"]]) {
      $(id).disabled = !targets;
      $(id).lastChild.textContent = ` ${word}${many ? ` ${many}` : ""}`;
    }
    const last = undo.at(-1);
    $("do-undo").disabled = !last;
    $("undo-what").textContent = last ? `Undo ${last.what}` : "Undo";
    $("undo-detail").textContent = last?.detail ? ` (${last.detail})` : "";
    $("do-undo").title = last ? `Undo: ${last.what}${last.detail ? ` (${last.detail})` : ""}` : "Nothing to undo";
    const any = current >= 0;
    $("comment").disabled = !any;
    this.#crops(any ? [figures.x[current], figures.y[current]] : null);
    if (!any) {
      $("current-title").textContent = "No figure selected";
      $("do-atypical").setAttribute("aria-pressed", false);
      $("current-facts").textContent = "N goes to the first one of the gallery.";
      $("current-state").textContent = "";
      $("comments").replaceChildren();
      $("comment").value = "";
      return;
    }
    const atypical = figures.atypical(current);
    $("do-atypical").setAttribute("aria-pressed", atypical);
    const name = (atypical ? "atypical " : "") + labels[figures.now[current]];
    $("current-title").textContent = name[0].toUpperCase() + name.slice(1);
    const one = current < figures.given && figures.source[current] !== LABELS ? `score ${figures.score[current].toFixed(3)} · ` : "";
    const score = scoresOfBoth(this.state, current) || one;
    const said = figures.marked.has(figures.id(current)) ? " (by a reader)" : "", p = figures.probability[current];
    const kind = Number.isNaN(p) ? "" : `atypical ${p.toFixed(2)}${said} · `;
    $("current-facts").textContent = `${score}${kind}x ${Math.round(figures.x[current])}, y ${Math.round(figures.y[current])}`;
    $("current-state").textContent = this.#stateText(current);
    this.#comments(figures.id(current));
  }

  #stateText(i) {
    const { comparison, figures } = this.state;
    const who = figures.who.get(i), state = verdict(this.state, i), word = STATES[state];
    if (state !== OPEN) return `${word[0].toUpperCase()}${word.slice(1)}${who ? ` by ${who}` : ""}`;
    const side = comparison?.words[comparison.kinds.get(i)];
    if (figures.source[i] === figures.reviewed) return side ? `To review, ${side}` : "To review";
    return figures.source[i] === LABELS && side ? "Missed label: Confirm adds it" : side ? `${side[0].toUpperCase()}${side.slice(1)}: Confirm adds it` : "Label";
  }

  #crops(place) {
    const { slide } = this.state;
    $("current-crops").hidden = !place; // the gallery moves up
    $("current-crops").querySelectorAll("figure").forEach((figure, k) => {
      const image = figure.firstElementChild;
      if (!place) return image.removeAttribute("src");
      const address = cropAddress(slide, ...place, 192, SCALES_UM[k]);
      if (image.getAttribute("src") !== address) image.src = address;
      image.alt = `The figure, ${SCALES_UM[k]} µm wide`;
    });
  }

  #comments(id) {
    const mine = this.state.session.reviewer, all = this.state.comments.get(id) ?? [];
    $("comments").replaceChildren(...all.filter((c) => c.reviewer !== mine).map((c) => Object.assign(document.createElement("li"), { textContent: `${c.reviewer}: ${c.text}` })));
    const own = all.find((c) => c.reviewer === mine)?.text ?? "";
    if (document.activeElement !== $("comment") || this.commented !== id) $("comment").value = own;
    this.commented = id;
  }

  #save() {
    const { figures, current, comments, session, slide } = this.state;
    if (current < 0) return;
    const figure = figures.id(current), text = $("comment").value.trim();
    const others = (comments.get(figure) ?? []).filter((c) => c.reviewer !== session.reviewer);
    if (text) others.push({ reviewer: session.reviewer, text });
    if (others.length) comments.set(figure, others);
    else comments.delete(figure);
    this.sender.remark(slide.slug, { kind: "comment", figure, value: text });
    this.gallery.mark();
  }
}

export function describe(rows, figures, word) {
  const what = WORDS[word] ?? word;
  if (rows.length !== 1) return { what: `${what} ×${rows.length}`, detail: "" };
  const [i] = rows;
  return { what, detail: figures.state[i] === REJECTED || i < figures.given ? `score ${figures.score[i].toFixed(2)}` : "" };
}
