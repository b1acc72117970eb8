// Build the page from the maps in it.

const described = JSON.parse(document.getElementById("data").textContent);
const runs = described.map((run, place) => new Run(run, place));

// Cross-attention is the most interesting kind. Two runs begin with a kind that both have.
function firstKind(run) {
  const names = run.kinds.map(({ kind }) => kind);
  const shared = names.filter((name) =>
    runs.every((each) => each.kinds.some(({ kind }) => kind === name)));
  return ["cross", ...shared, ...names].find((name) =>
    shared.length ? shared.includes(name) : names.includes(name));
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
