// Numbers as text, and formulas with their subscripts.

const FEW_COLUMNS = 4; // at most this many columns have room for more decimals

// How many decimals the numbers of a table need: none if all of them are whole.
function decimalsOf(numbers, columns) {
  if (numbers.every(Number.isInteger)) return 0;
  return columns <= FEW_COLUMNS ? 4 : 3;
}

// A number with this many decimals, and no sign before a zero.
function fixed(value, decimals) {
  return value.toFixed(decimals).replace(/^-(0\.?0*)$/, "$1");
}

// At most four decimals: 2, 0.787, -1.4142. Only zero is written 0.
function brief(value) {
  const rounded = Number(value.toFixed(4)) + 0;
  return rounded === 0 && value !== 0 ? value.toExponential(0) : `${rounded}`;
}

// Three digits, for what is measured: 0.0312, 1.33, 64.2, 1,020.
function measured(value) {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

// "x Wq + bq" as nodes, with q as a subscript.
function typeset(formula) {
  return formula.split(/\b([Wb][qkvo])\b/).map((part, i) =>
    i % 2 ? element("span", {}, part[0], element("sub", {}, part[1])) : part);
}
