// Runs next to each other: what is chosen or pointed at in one is shown in the other.

class Links {
  constructor(runs) {
    this.runs = runs;
    this.box = element("input", { type: "checkbox", checked: true });
    this.element = element("label", { class: "linked chip" }, this.box,
      element("span", {}, `Linked: the same head and token in ${runs.length === 2 ? "both" : "all"}`));
    for (const run of runs) run.links = this;
  }

  // message(run) shows in another run what happened in `from`. It causes no further messages.
  tell(from, message) {
    if (!this.box.checked || this.telling) return;
    this.telling = true;
    for (const run of this.runs) if (run !== from) message(run);
    this.telling = false;
  }
}

// A name for each run, so that no two are the same: its folder, with the checkpoint if needed.
function labelsOf(described) {
  const names = described.map(({ run, title }) => run || title);
  const unique = (labels) => new Set(labels).size === labels.length;
  if (unique(names)) return names;
  const checkpoints = described.map(({ about }) => new Map(about).get("checkpoint") ?? "");
  const longer = names.map((name, i) => `${name}, ${checkpoints[i]}`);
  return unique(longer) ? longer : names.map((name, i) => `${name} (${i + 1})`);
}

// The place of the same token in another list: the same label at the same place; -1 if it differs.
function sameToken(labels, place, others) {
  return labels[place] === others[place] ? place : -1;
}
