/**
 * Scores of boxes by the rule of Wang et al. 2017, as in `cxrloc/evaluation/localization/hits.py`
 * and `accuracy.py`.
 *
 * A box is correct when its overlap with an annotated box of its pair is above (strictly) T.
 * Accuracy = annotated boxes hit / annotated boxes; AFP = boxes not correct / all annotated boxes.
 */
import { boxInImage, findRegions, scaleMap } from "./regions.js";

/** Overlap of a detected and an annotated box by criterion; boxes are x_min, y_min, x_max, y_max. */
export const OVERLAPS = {
  iou: (detected, annotated) => {
    const common = intersection(detected, annotated);
    return common / (area(detected) + area(annotated) - common);
  },
  iobb: (detected, annotated) => intersection(detected, annotated) / area(detected),
};

function area(box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

function intersection(one, other) {
  const width = Math.max(Math.min(one[2], other[2]) - Math.max(one[0], other[0]), 0);
  const height = Math.max(Math.min(one[3], other[3]) - Math.max(one[1], other[1]), 0);
  return width * height;
}

/**
 * The boxes that a pair's map gives at one threshold, kept for as long as the map lives.
 * @param {object} pair with `map` {values, rows, columns, toImage}, `image` and `probability`
 * @param {number} threshold 0 to 255
 * @returns {{box: number[], threshold: number, score: number}[]}
 */
function boxesAt(pair, threshold) {
  const { map } = pair;
  map.scaled ??= scaleMap(map.values) ?? "degenerate";
  if (map.scaled === "degenerate") return [];
  map.boxes ??= new Map();
  if (!map.boxes.has(threshold)) {
    const claims = [];
    for (const { box, peak } of findRegions(map.scaled, map.rows, map.columns, threshold)) {
      const moved = boxInImage(box, map, pair.image);
      if (moved) claims.push({ box: moved, threshold, score: pair.probability * peak });
    }
    if (map.boxes.size > 16) map.boxes.clear(); // a slider passes many thresholds
    map.boxes.set(threshold, claims);
  }
  return map.boxes.get(threshold);
}

/**
 * All boxes of a pair: those of the run, if the page has them, or those of its map at every
 * threshold.
 * @param {object} pair
 * @param {number[]} thresholds 0 to 255
 */
export function boxesOf(pair, thresholds) {
  if (pair.boxes || !pair.map) return pair.boxes ?? [];
  return thresholds.flatMap((threshold) => boxesAt(pair, threshold));
}

/**
 * The largest overlap of every box with any annotated box of the pair, and the other way round.
 * A box is correct, and an annotated box is hit, where that is above T.
 * @returns {{claims: object[], ofBox: number[], ofTruth: number[]}}
 */
export function matchPair(pair, thresholds, criterion) {
  const claims = boxesOf(pair, thresholds);
  const overlaps = claims.map(({ box }) =>
    pair.truth.map((annotated) => OVERLAPS[criterion](box, annotated)),
  );
  return {
    claims,
    ofBox: overlaps.map((row) => Math.max(0, ...row)),
    ofTruth: pair.truth.map((_, j) => Math.max(0, ...overlaps.map((row) => row[j]))),
  };
}

/**
 * Matches of every pair that counts: all with an annotated box, and boxes of the scored ones only.
 * @param {object[]} pairs
 * @param {number[]} thresholds
 * @param {"iou" | "iobb"} criterion
 */
export function matchPairs(pairs, thresholds, criterion) {
  return pairs
    .filter((pair) => pair.scored || pair.truth.length)
    .map((pair) => {
      const match = pair.scored
        ? matchPair(pair, thresholds, criterion)
        : { claims: [], ofBox: [], ofTruth: pair.truth.map(() => 0) };
      return { pair, ...match };
    });
}

/**
 * Counts and rates per finding and, last, over all: counts add up, rates are averaged.
 * @param {object[]} matches of `matchPairs`
 * @param {number} t overlap above which a box is correct
 * @param {string[]} findings
 * @returns {{annotated: number, heatmaps: number, detections: number, hit: number,
 *   falsePositives: number, accuracy: number, afp: number}[]}
 */
export function countBoxes(matches, t, findings) {
  const zero = () => ({ annotated: 0, heatmaps: 0, detections: 0, hit: 0, falsePositives: 0 });
  const counts = findings.map(zero);
  for (const { pair, ofBox, ofTruth } of matches) {
    const own = counts[pair.findingIndex];
    own.annotated += ofTruth.length;
    own.heatmaps += pair.scored ? 1 : 0;
    own.detections += ofBox.length;
    own.hit += countAbove(ofTruth, t);
    own.falsePositives += ofBox.length - countAbove(ofBox, t);
  }
  const total = zero();
  for (const own of counts) for (const name of Object.keys(total)) total[name] += own[name];
  for (const own of counts) {
    own.accuracy = own.hit / Math.max(own.annotated, 1);
    own.afp = own.falsePositives / total.annotated;
  }
  total.accuracy = mean(counts.map((own) => own.accuracy));
  total.afp = mean(counts.map((own) => own.afp));
  return [...counts, total];
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Percentile intervals of the accuracies by the run's own resamples of patients.
 * @param {object[]} matches of `matchPairs`
 * @param {number} t
 * @param {string[]} findings
 * @param {{count: number, level: number, drawn: Uint8Array} | null} resampling `drawn` says how
 *   often each patient is in each resample, resample after resample for one patient
 * @returns {[number, number][] | null} low and high per finding, and last of the mean
 */
export function accuracyIntervals(matches, t, findings, resampling) {
  if (!resampling) return null;
  resampling.annotated ??= resampledSums(
    matches,
    findings,
    resampling,
    ({ ofTruth }) => ofTruth.length,
  );
  const hit = resampledSums(matches, findings, resampling, ({ ofTruth }) => countAbove(ofTruth, t));
  const means = new Float64Array(resampling.count);
  hit.forEach((own, k) => {
    const annotated = resampling.annotated[k];
    for (let i = 0; i < own.length; i++) {
      own[i] /= Math.max(annotated[i], 1);
      means[i] += own[i] / findings.length;
    }
  });
  const tail = (1 - resampling.level) / 2;
  return [...hit, means].map((values) => {
    values.sort();
    return [quantile(values, tail), quantile(values, 1 - tail)];
  });
}

/** A count of every pair, summed over the patients of each resample, by finding. */
function resampledSums(matches, findings, { count, drawn }, countOf) {
  const sums = findings.map(() => new Float64Array(count));
  for (const match of matches) {
    const own = countOf(match);
    if (!own) continue;
    const sum = sums[match.pair.findingIndex];
    const first = match.pair.patient * count;
    for (let i = 0; i < count; i++) sum[i] += drawn[first + i] * own;
  }
  return sums;
}

function countAbove(overlaps, t) {
  let above = 0;
  for (const overlap of overlaps) if (overlap > t) above += 1;
  return above;
}

/** Linear interpolation between the two nearest of the sorted values, as NumPy's default. */
function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
