// The weights of the layers, decoded from the codes of minitx/inspection/packing.py.

// The code of a weight of 1, by the number of bits. The next code is not a number.
const FULL = { 8: 254, 15: 32766, 16: 65534 };

// The weight of every code: code = FULL * sqrt(weight).
const WEIGHT_OF_CODE = { 8: weightsOfCodes(8), 16: weightsOfCodes(16) };

function weightsOfCodes(bits) {
  return Float32Array.from({ length: FULL[bits] + 2 }, (_, code) =>
    code > FULL[bits] ? NaN : (code / FULL[bits]) ** 2);
}

// The same for weights from -scale to scale, whose highest bit is the sign.
function signedWeights(scale) {
  const SIGN = 32768;
  const sizes = weightsOfCodes(15);
  return Float32Array.from({ length: 2 * SIGN }, (_, code) =>
    (code < SIGN ? scale : -scale) * sizes[code % SIGN]);
}

class Layer {
  // described: name, title, heads (their numbers), queries and keys (labels), triangular, bits, scale,
  // codes, unit ("head" or "channel"), meanOf. Weights are from 0 to 1, or from -scale to scale.
  constructor(described) {
    Object.assign(this, described);
    this.rows = this.queries.length;
    this.columns = this.keys.length;
    this.packed = described.codes;
    this.weightOfCode = this.scale ? signedWeights(this.scale) : WEIGHT_OF_CODE[this.bits];
  }

  // How strong a weight is, from 0 to 1, whatever its sign.
  strength(weight) {
    return Math.min(Math.abs(weight) / (this.scale || 1), 1);
  }

  // Codes are decoded when they are first needed, so that a page with many layers opens at once.
  get decoded() {
    if (typeof this.packed === "string") this.packed = decodeCodes(this.packed, this.bits);
    return this.packed;
  }

  // The weight of one head at one cell.
  at(head, row, column) {
    if (this.triangular && column > row) return 0;
    const codes = this.decoded;
    const start = this.heads.indexOf(head) * (codes.length / this.heads.length);
    const before = this.triangular ? row * (row + 1) / 2 : row * this.columns;
    return this.weightOfCode[codes[start + before + column]];
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
        for (let i = start; i < end; i++) values[i] += this.weightOfCode[codes[next++]];
      }
    }
    if (heads.length > 1) for (let i = 0; i < values.length; i++) values[i] /= heads.length;
    return values;
  }
}

function decodeCodes(base64, bits) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  if (bits === 8) return bytes;
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
  if (weight < 0) return Math.abs(weight) < LEAST_SPELT ? "> −0.0001" : `−${(-weight).toFixed(4)}`;
  return weight < LEAST_SPELT ? "< 0.0001" : weight.toFixed(4);
}

// "head 3", "mean of heads 0, 2", "mean of all 8 heads", "mean of 128 channels"; "" if there is only
// one head.
function speltHeads({ heads: all, unit, meanOf }, heads) {
  if (meanOf) return `mean of ${meanOf} channels`;
  if (all.length === 1 && unit === "head") return "";
  if (heads.length === 1) return `${unit} ${heads[0]}`;
  if (heads.length === all.length) return `mean of all ${heads.length} ${unit}s`;
  return `mean of ${unit}s ${heads.join(", ")}`;
}
