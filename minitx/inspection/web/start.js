// Build the page from the maps in it.

const described = JSON.parse(document.getElementById("data").textContent);
const runs = described.map((run, place) => new Run(run, place));

// Cross-attention is the most interesting kind. Two runs begin with a kind that both have, or with
// attention and the implicit maps in its place.
function firstKind(run) {
  const sides = run.kinds.map(({ side }) => side);
  const shared = sides.filter((side) =>
    runs.every(({ kinds }) => kinds.some((each) => each.side === side)));
  const first = ["cross", ...shared, ...sides].find((side) =>
    shared.length ? shared.includes(side) : sides.includes(side));
  return run.kinds.find(({ side }) => side === first).kind;
}

const main = document.querySelector("main");
main.append(...runs.map((run) => run.element));
if (runs.length > 1) {
  main.classList.add("two");
  main.prepend(new Links(runs).element);
  labelsOf(described).forEach((label, place) => runs[place].label(label));
}
// Only now, since sizes depend on the room in the page.
for (const run of runs) {
  if (!run.kinds.length) continue;
  run.chooseKind(firstKind(run));
  run.fit();
}
