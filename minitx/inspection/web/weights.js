// The weights of the layers, decoded from the codes of minitx/inspection/page.py.

const FULL = 65534;
const NOT_A_NUMBER = 65535;

// The weight of every code: code = FULL * sqrt(weight).
const WEIGHT_OF_CODE = Float32Array.from({ length: NOT_A_NUMBER + 1 }, (_, code) =>
  code === NOT_A_NUMBER ? NaN : (code / FULL) ** 2);

class Layer {
  // described: name, title, heads (their numbers), queries and keys (labels), triangular, codes.
  constructor(described) {
    Object.assign(this, described);
    this.rows = this.queries.length;
    this.columns = this.keys.length;
    this.packed = described.codes;
  }

  // Codes are decoded when they are first needed, so that a page with many layers opens at once.
  get decoded() {
    if (typeof this.packed === "string") this.packed = decodeCodes(this.packed);
    return this.packed;
  }

  // The weight of one head at one cell.
  at(head, row, column) {
    if (this.triangular && column > row) return 0;
    const codes = this.decoded;
    const start = this.heads.indexOf(head) * (codes.length / this.heads.length);
    const before = this.triangular ? row * (row + 1) / 2 : row * this.columns;
    return WEIGHT_OF_CODE[codes[start + before + column]];
  }

  // The mean over some heads, numbered as in the model, row by row.
  mean(heads) {
    const values = new Float32Array(this.rows * this.columns);
    const codes = this.decoded;
    const size = codes.length / this.heads.length;
    for (const head of heads) {
      let next = this.heads.indexOf(head) * size;
      for (let row = 0; row < this.rows; row++) {
        const start = row * this.columns;
        const end = start + (this.triangular ? row + 1 : this.columns);
        for (let i = start; i < end; i++) values[i] += WEIGHT_OF_CODE[codes[next++]];
      }
    }
    if (heads.length > 1) for (let i = 0; i < values.length; i++) values[i] /= heads.length;
    return values;
  }
}

function decodeCodes(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Uint16Array(bytes.buffer); // little-endian, like every machine with a browser
}

// Whether two layers have the same tokens.
function sameTokens(one, other) {
  const same = (a, b) => a.length === b.length && a.every((label, i) => label === b[i]);
  return same(one.queries, other.queries) && same(one.keys, other.keys);
}

const LEAST_SPELT = 0.00005; // smaller weights have no four decimals

// A weight as text, with four decimals. Only zero is written 0.
function spelt(weight) {
  if (Number.isNaN(weight)) return "not a number";
  if (weight === 0) return "0";
  return weight < LEAST_SPELT ? "< 0.0001" : weight.toFixed(4);
}

// "head 3", "mean of heads 0, 2", "mean of all 8 heads"; "" if there is only one head.
function speltHeads(layer, heads) {
  if (layer.heads.length === 1) return "";
  if (heads.length === 1) return `head ${heads[0]}`;
  if (heads.length === layer.heads.length) return `mean of all ${heads.length} heads`;
  return `mean of heads ${heads.join(", ")}`;
}
