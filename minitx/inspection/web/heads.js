// What was measured of heads: the measures to sort by, and the names. minitx/inspection/measures.py
// and head_names.py define both.

const MEASURES = [
  { key: "previous", label: "previous token", about: "mean weight on the token before" },
  { key: "next", label: "next token", about: "mean weight on the token after" },
  { key: "first", label: "first token", about: "mean weight on the first token" },
  { key: "same", label: "itself", about: "mean weight on the token itself" },
  { key: "induction", label: "induction",
    about: "in random tokens read twice, mean weight on the token that followed the first time" },
  { key: "aligned", label: "alignment",
    about: "1 if output tokens attend to source tokens in the same order, about 0 for equal weights" },
  { key: "entropy", label: "entropy", unit: " nats", about: "0 if all weight is on one token" },
  { key: "distance", label: "distance", unit: " tokens", about: "mean distance to what it attends to" },
  { key: "importance", label: "importance", about: "how much worse the model is without the head" },
];

const NAMES = [
  { name: "induction", short: "induct", about: "induction of 0.3 or more" },
  { name: "previous token", short: "prev", about: "more than half of its weight is on the token before" },
  { name: "next token", short: "next", about: "more than half of its weight is on the token after" },
  { name: "first token", short: "first", about: "more than half of its weight is on the first token" },
  { name: "itself", short: "self", about: "more than half of its weight is on the token itself" },
  { name: "aligned", short: "align", about: "output tokens attend to source tokens in the same order" },
  { name: "broad", short: "broad", about: "nearly equal weights: at least 80% of the greatest entropy" },
  { name: "focused", short: "focus", about: "nearly all weight on one token: at most 20% of the greatest entropy" },
  { name: "mixed", short: "mixed", about: "none of the other names" },
];

// The measures that some head of some layers has, in the order above.
function measuresOf(layers) {
  return MEASURES.filter(({ key }) =>
    layers.some(({ measured }) => measured.some((head) => key in head)));
}

// "0.123", "1.234 nats", "+1.2%"; "–" if there is no value.
function speltMeasure({ key, unit = "" }, value) {
  if (value === undefined) return "–";
  if (key !== "importance") return `${value.toFixed(3)}${unit}`;
  return `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(2)}%`;
}

function nameOf(layer, head) {
  return measuredOf(layer, head).name;
}

function measuredOf(layer, head) {
  return layer.measured[layer.heads.indexOf(head)];
}

// "layer 3, head 5"; without a layer "head 5".
function placeOf(layer, head) {
  const what = layer.meanOf ? speltHeads(layer, [head]) : `${layer.unit} ${head}`;
  return `${layer.title ? `layer ${layer.title}, ` : ""}${what}`;
}

// All measures of a head as text.
function allMeasures(layer, head) {
  const found = measuredOf(layer, head);
  return MEASURES.filter(({ key }) => key in found)
    .map((measure) => `${measure.label} ${speltMeasure(measure, found[measure.key])}`).join(" · ");
}
