// What the page knows: the session, the open slide, its figures, and what is shown of them.
import { OPEN, REJECTED } from "./figures.js";

export const state = {
  session: null, slides: [], slide: null, figures: null, labels: [], current: -1, threshold: 0.5,
  showLabel: [true, true], showReference: true, showRejected: true, showHotspot: true, showDensity: false,
  hidden: false, seq: 0, remarksSeq: -1, complete: false, undo: [], comments: new Map(), comparison: null, proposed: new Map(), disagreed: new Map(),
  visible(i) {
    const f = this.figures;
    if (f.source[i] !== f.reviewed) return this.showReference;
    if (!f.upForReview(i)) return false;
    if (f.state[i] === REJECTED) return this.showRejected;
    return this.showLabel[f.now[i]] && (f.state[i] !== OPEN || f.score[i] >= this.cut);
  },
  get cut() { return Math.fround(this.threshold); },
  get limit() { return this.threshold - this.session.borderline; }, // least score that is reviewed by default
};
