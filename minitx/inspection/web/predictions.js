// What a language model expected: the probability of each token of the text, after the tokens before
// it, and the most probable tokens at the selected place.

class Predictions {
  // predictions: for each position its token, the candidates after it, and the probability and the rank
  // of the token that follows; onPoint(place).
  constructor(predictions, onPoint) {
    this.predictions = predictions;
    this.tokens = predictions.map(({ token }) => token);
    this.onPoint = onPoint;
    this.list = element("ul", { class: "flow", role: "listbox", "aria-label": "tokens of the text",
      onpointerover: (event) => this.point(event.target.closest("li")),
      onfocusin: (event) => this.focusOn(event.target.closest("li")),
      onkeydown: (event) => this.move(event) });
    this.table = element("table", { class: "candidates" });
    this.element = element("section", { class: "predictions", hidden: !predictions.length },
      element("h3", {}, "Next token"),
      element("p", { class: "axes" },
        "The bar under a token is the probability that the model gave it, after the tokens before " +
        "it. Point at a token to see what else it expected."),
      element("div", { class: "predicted" }, this.list, this.table));
    if (!predictions.length) return;
    this.list.replaceChildren(...[...this.tokens, null].map((label, place) => this.item(label, place)));
    this.select(this.tokens.length);
  }

  // The item after the last token is the model's own guess.
  item(label, place) {
    const bar = element("i", { class: "bar" });
    const probability = this.predictions[place - 1]?.actual?.[0];
    bar.style.width = `${100 * (probability ?? 0)}%`;
    const title = probability === undefined ? null : `probability ${spelt(probability)}`;
    return element("li", { role: "option", tabindex: -1, "data-place": place, title,
                           "aria-selected": "false", class: label === null ? "guess" : null },
      element("bdi", {}, label ?? "next?"), bar);
  }

  // The first token follows nothing, so nothing was expected there.
  select(place) {
    const items = this.list.children;
    this.list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
    for (const item of items) item.tabIndex = -1;
    items[place].setAttribute("aria-selected", "true");
    items[place].tabIndex = 0;
    this.place = place;
    this.tabulate(place);
  }

  tabulate(place) {
    const prediction = this.predictions[place - 1];
    if (!prediction) {
      this.table.replaceChildren(element("caption", {}, "Nothing comes before the first token."));
      return;
    }
    const actual = this.tokens[place];
    const rows = prediction.candidates.map(([label, p], i) =>
      this.row(label, p, prediction.actual?.[1] === i && label === actual));
    if (prediction.actual && prediction.actual[1] >= prediction.candidates.length) {
      const [probability, better] = prediction.actual;
      rows.push(this.row(actual, probability, true, `rank ${(better + 1).toLocaleString("en")}`));
    }
    this.table.replaceChildren(
      element("caption", {}, "After ", element("bdi", {}, this.tokens[place - 1])), ...rows);
  }

  row(label, probability, actual, rank = "") {
    const bar = element("i", { class: "bar" });
    bar.style.width = `${100 * probability}%`;
    return element("tr", { class: actual ? "actual" : null },
      element("th", { scope: "row" }, element("bdi", {}, label)),
      element("td", { class: "amount" }, spelt(probability)),
      element("td", { class: "bar-cell" }, bar),
      element("td", { class: "rank" }, actual ? `in the text${rank && ", "}${rank}` : ""));
  }

  point(item) {
    if (!item) return;
    this.select(Number(item.dataset.place));
    this.onPoint(this.place);
  }

  focusOn(item) {
    if (item && Number(item.dataset.place) !== this.place) this.point(item);
  }

  move(event) {
    const step = stepOf(event.key);
    const items = this.list.children;
    const to = { Home: 0, End: items.length - 1 }[event.key] ?? (step && this.place + step[0] + step[1]);
    if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    items[to]?.focus();
  }

  // Show the expectation after a token, because another view points at it.
  follow(place) {
    if (this.predictions.length && place + 1 < this.list.children.length) this.select(place + 1);
  }

  // The expectation after a token, for the tip of a map; null if there is none.
  after(place) {
    const prediction = this.predictions[place];
    if (!prediction) return null;
    const [label, probability] = prediction.candidates[0];
    return { label, probability };
  }
}
