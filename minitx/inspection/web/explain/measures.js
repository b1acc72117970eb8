// What is measured of scores and weights.

// The mean of the squared distances from the mean.
function variance(numbers) {
  const mean = total(numbers) / numbers.length;
  return total(numbers.map((value) => (value - mean) ** 2)) / numbers.length;
}

// The entries (i, j) of a matrix that are allowed, as one list.
function entries(matrix, allowed) {
  return matrix.flatMap((row, i) => row.filter((_, j) => allowed(i, j)));
}

function meanLargest(weights) {
  return total(weights.map((row) => Math.max(...row))) / weights.length;
}

// How much the largest weight of a row changes if its score changes: w (1 - w), at most 0.25.
function meanSlope(weights) {
  const slopes = weights.map((row) => Math.max(...row)).map((weight) => weight * (1 - weight));
  return total(slopes) / slopes.length;
}

function placeOfLargest(row) {
  return row.indexOf(Math.max(...row));
}

// All places whose value is the largest up to rounding.
function placesOfLargest(row) {
  const least = Math.max(...row) - 1e-9;
  return row.map((_, place) => place).filter((place) => row[place] >= least);
}
