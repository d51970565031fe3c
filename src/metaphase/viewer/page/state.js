// What the page knows: the session, the open slide, its figures, and what is shown of them.
import { LABELS, MODEL } from "./comparison.js";
import { OPEN, REJECTED } from "./figures.js";

export const state = {
  session: null, slides: [], slide: null, figures: null, labels: [], current: -1, threshold: 0.5,
  showLabel: [true, true], showReference: { [LABELS]: true, [MODEL]: true }, showRejected: true, showHotspot: true, showDensity: false,
  hidden: false, seq: 0, remarksSeq: -1, complete: false, undo: [], comments: new Map(), comparison: null, proposed: new Map(), disagreed: new Map(),
  visible(i) {
    const f = this.figures;
    if (f.source[i] !== f.reviewed) return this.referenceVisible(i);
    if (!f.upForReview(i)) return false;
    if (f.state[i] === REJECTED) return this.showRejected;
    return this.showLabel[f.now[i]] && (f.state[i] !== OPEN || f.score[i] >= this.cut);
  },
  referenceVisible(i) {
    const f = this.figures, source = f.source[i];
    if (!this.showReference[source] || (f.state[i] === REJECTED && !this.showRejected)) return false;
    return this.counted(i);
  },
  // Whether a row of a reference counts: every label, and detections of the second model from its threshold on.
  counted(i) {
    const f = this.figures;
    return f.source[i] === LABELS || (f.label[i] === 0 && f.score[i] >= this.secondCut);
  },
  // The score from which a detection of the second model counts.
  get secondCut() { return Math.fround(this.slide.references.find((r) => r.source === MODEL)?.threshold ?? 0); },
  get cut() { return Math.fround(this.threshold); },
  get limit() { return this.threshold - this.session.borderline; }, // least score that is reviewed by default
};
