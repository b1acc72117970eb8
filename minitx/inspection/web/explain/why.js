// Why each step is as it is, and what the numbers of the page say about it.

const WHY = {
  projections: "Why three: what a token looks for (its query) may differ from what it offers (its " +
    "key) and from what it passes on (its value).",
  scores: "Why divide by √d: a score is a sum of d products, one for each feature of a query and a key. " +
    "If each product has variance 1 and they are independent, their variances add up to d. Scores " +
    "that are far apart make softmax choose one token and ignore small changes, so that training " +
    "hardly changes queries and keys. Dividing by √d divides the variance by d, so it is 1 again.",
  weights: "Why softmax: it turns any scores into positive weights that sum to one, keeps their " +
    "order, and changes smoothly, so that gradients can train it.",
  outputs: "Why a weighted mean: every token can contribute, and the output stays within the range " +
    "of the values, however long the text is.",
  heads: "Why several heads: one head has a single set of weights for each token, so all " +
    "that it finds is mixed in one mean; several heads split the features, and give several means " +
    "with as many parameters.",
};

// results: what `attend` returned for each head.
function measuredScores(results, allowed) {
  const products = results.flatMap((head) => entries(head.products, allowed));
  if (products.length < 2) return "A single product has no variance.";
  const d = results[0].q[0].length;
  const before = measured(variance(products));
  const after = measured(variance(products.map((value) => value / Math.sqrt(d))));
  const root = brief(Math.sqrt(d));
  const times = d === 1 ? "the same, because √1 = 1" : `${d} times smaller`;
  return `Measured on this page: the ${products.length.toLocaleString("en")} products q·k have ` +
    `variance ${before}. Divided by √${d} = ${root} they have variance ${after}, ${times}. ` +
    "They were not drawn at random, so their variance need not be d.";
}

// results: those of `heads` with these settings.
function measuredWeights(results, heads, settings) {
  const largest = (scaled) => {
    const all = scaled === settings.scaled
      ? results : heads.map((head) => attend(head, { ...settings, scaled }));
    return measured(meanLargest(all.flatMap(({ weights }) => weights)));
  };
  return `Measured on this page: the largest weight of a row is ${largest(true)} on average if the ` +
    `scores are divided by √d, and ${largest(false)} if they are not.`;
}

// head: its number, or null if there is one only.
function measuredOutput(query, keys, weights, head) {
  const order = weights.map((_, key) => key).filter((key) => weights[key] > 0)
    .sort((a, b) => weights[b] - weights[a]);
  const share = (weight) => weight < 0.005 ? "less than 1%" : `${fixed(100 * weight, 0)}%`;
  const parts = order.slice(0, 3).map((key) => `${share(weights[key])} of ${keys[key]}`);
  const rest = order.length > 3 ? ", and less of the others" : "";
  const where = head === null ? "" : `in head ${head}, `;
  return `On this page: ${where}the output of ${query} is a mix of values: ${parts.join(", ")}${rest}.`;
}

function measuredHeads(results) {
  if (results.length === 1) return "Choose more heads above to compare them.";
  const rows = results[0].weights.length;
  const apart = results[0].weights.filter((_, row) => {
    const largest = results.map(({ weights }) => placesOfLargest(weights[row]));
    return !largest[0].some((place) => largest.every((places) => places.includes(place)));
  });
  return `Measured on this page: in ${apart.length} of ${rows} rows the heads give their largest ` +
    "weight to different tokens.";
}
