// Which keys a query may attend to.

function everything() {
  return true;
}

function causal(query, key) {
  return key <= query;
}

// The mask that a switch turns on. scene.mask.allowed: one byte for each pair, in base64, if the mask
// is not the causal one.
function maskOf({ mask, keys }) {
  if (!mask?.allowed) return causal;
  const allowed = bytesOf(mask.allowed);
  return (query, key) => allowed[query * keys.length + key] === 1;
}
