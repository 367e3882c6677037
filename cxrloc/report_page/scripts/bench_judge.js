/** What one pair of image and finding shows at the reader's thresholds: outcomes, and boxes in words. */
import { counted, decimals } from "./dom.js";
import { OVERLAPS, boxesOf, matchPair } from "./scoring.js";

export const NAMES = { iou: "T(IoU)", iobb: "T(IoBB)" };
export const OVERLAP_NAMES = { iou: "IoU", iobb: "IoBB" };

/**
 * Outcomes, short words and marked boxes of a pair, kept until a threshold moves.
 * @param {object} pair
 * @param {{thresholds: number[], t: {iou: number, iobb: number}, criterion: "iou" | "iobb"}} state
 * @returns {{outcomes: string[], chips: [string, string][], marks: object[]}}
 */
export function judge(pair, { thresholds, t, criterion }) {
  const version = [thresholds, t.iou, t.iobb, criterion].join();
  if (pair.judgedAt !== version) {
    pair.judged =
      pair.scored || pair.truth.length
        ? judgeScored(pair, thresholds, t, criterion)
        : judgeOther(pair, thresholds);
    pair.judgedAt = version;
  }
  return pair.judged;
}

function judgeScored(pair, thresholds, t, criterion) {
  const { claims, ofBox, ofTruth } = matchPair(pair, thresholds, criterion);
  const counts = pair.scored || !claims.length;
  const hits = ofTruth.filter((overlap) => counts && overlap > t[criterion]).length;
  const wrong = counts ? ofBox.filter((overlap) => !(overlap > t[criterion])).length : 0;
  const chips = [];
  const outcomes = [];
  const add = (outcome, style, text) => {
    outcomes.push(outcome);
    chips.push([style, text]);
  };
  const of = (n) => (pair.truth.length > 1 ? ` ${n} of ${pair.truth.length}` : "");
  if (hits) add("correct", "good", `✓ correct${of(hits)}`);
  if (hits < pair.truth.length) add("missed", "bad", `✗ missed${of(pair.truth.length - hits)}`);
  if (wrong) add("false positive", "extra", `+ ${counted(wrong, "false positive")}`);
  if (!pair.scored) chips.push(["plain", "gives no boxes here"]);
  const marks = [
    ...pair.truth.map((box, i) => {
      const hit = counts && ofTruth[i] > t[criterion] ? "hit" : "missed";
      return { box, role: "expert", text: `Expert's box, ${hit}` };
    }),
    ...claims.map((claim, i) => {
      const role = ofBox[i] > t[criterion] ? "correct" : "false_positive";
      return {
        box: claim.box,
        role: counts ? role : "detection",
        text: claimText(claim, pair, counts ? role : "detection"),
      };
    }),
  ];
  return { outcomes, chips, marks };
}

/** A finding that is not scored on this image: its boxes, without a verdict. */
function judgeOther(pair, thresholds) {
  const marks = boxesOf(pair, thresholds).map((claim) => ({
    box: claim.box,
    role: "detection",
    text: claimText(claim, pair, "detection"),
  }));
  return { outcomes: [], chips: [["plain", "not scored"]], marks };
}

function claimText({ box, threshold, score }, pair, role) {
  const verdict = { correct: "Correct box", false_positive: "False positive", detection: "Box" }[
    role
  ];
  const overlaps = Object.entries(OVERLAP_NAMES).map(([criterion, name]) => {
    const best = Math.max(0, ...pair.truth.map((annotated) => OVERLAPS[criterion](box, annotated)));
    return `${name} ${decimals(best, 2)}`;
  });
  const parts = [
    verdict,
    threshold === null ? null : `threshold ${threshold}`,
    ...(pair.truth.length ? overlaps : []),
    // Boxes of a list have the scale of the tool that made them.
    score === null ? null : `${pair.map ? "raw score" : "score"} ${decimals(score, 2)}`,
  ];
  return parts.filter(Boolean).join(", ");
}
