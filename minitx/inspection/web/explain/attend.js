// The steps of one head, in double precision. A matrix is a list of rows, and a row is a list.

// A plain loop: of a text of 512 tokens there are millions of products.
function dot(one, other) {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i] * other[i];
  return sum;
}

// (n, m) times (m, p).
function product(left, right) {
  const columns = right[0].map((_, column) => right.map((row) => row[column]));
  return left.map((row) => columns.map((column) => dot(row, column)));
}

function columnsOf(matrix, first, count) {
  return matrix.map((row) => row.slice(first, first + count));
}

function total(numbers) {
  return numbers.reduce((sum, value) => sum + value, 0);
}

// Positive numbers that sum to one, for the places that are allowed; zeros for the others.
function softmax(scores, allowed = () => true) {
  const largest = Math.max(...scores.filter((_, place) => allowed(place)));
  // The largest is subtracted first, so that no power is too large for a number.
  const powers = scores.map((score, place) => (allowed(place) ? Math.exp(score - largest) : 0));
  const sum = total(powers);
  return powers.map((power) => (sum ? power / sum : 0));
}

// head: q (Q, d), k (K, d), v (K, any), and slope, what a score loses for each token of distance.
// settings: scaled, temperature, allowed(query, key).
function attend({ q, k, v, slope }, { scaled, temperature, allowed }) {
  const products = q.map((query) => k.map((key) => dot(query, key)));
  const divisor = scaled ? Math.sqrt(q[0].length) : 1;
  const scores = products.map((row, i) =>
    row.map((sum, j) => sum / divisor - slope * Math.abs(i - j)));
  const weights = scores.map((row, i) =>
    softmax(row.map((score) => score / temperature), (j) => allowed(i, j)));
  return { q, k, v, slope, products, divisor, scores, weights, outputs: product(weights, v) };
}
