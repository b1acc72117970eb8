// From a sentence to words, and from a word to its row of features.

const LONGEST_WORD = 12; // characters of a label

// The words of a sentence, or a problem in one line.
function wordsOf(sentence, most) {
  const words = sentence.split(/\s+/u).filter(Boolean);
  if (!words.length) return { problem: "The sentence has no words: type at least one." };
  if (words.length > most) {
    const count = words.length.toLocaleString("en");
    return { problem: `The sentence has ${count} words, and this page shows at most ${most}: shorten it.` };
  }
  return { words };
}

// The row of a word. Words of the example have known rows. Other words get small whole numbers that
// depend only on their letters, so that equal words have equal rows.
function rowOf(word, known, dim) {
  const letters = word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || word;
  if (known.has(letters)) return known.get(letters);
  let hash = 2166136261; // FNV-1a
  for (const letter of letters) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
  hash ^= hash >>> 15; // the low bits alone depend on few letters
  const row = Array.from({ length: dim }, (_, i) => ((hash >>> (2 * i)) & 3) - 1);
  return row.some(Boolean) ? row : row.map(() => 1); // a row of zeros would hide the word
}

// A word as a label: short, and without invisible characters, except for joiners within emoji.
function labelOf(word) {
  const visible = word.replace(/(?!\u200d)\p{C}/gu, (character) =>
    `‹U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`);
  const letters = [...visible];
  return letters.length > LONGEST_WORD ? `${letters.slice(0, LONGEST_WORD - 1).join("")}…` : visible;
}
