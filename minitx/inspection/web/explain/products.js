// The calculation behind one weight: products, score, softmax, and what it takes of the value.

const MOST_PRODUCTS = 8;
const MOST_POWERS = 4;

class Products {
  constructor() {
    // A status: screen readers read the line after every change.
    this.heading = element("h3", { role: "status" });
    this.calculation = element("div");
    this.element = element("div", { class: "products" }, this.heading, this.calculation);
  }

  // head: what `attend` returned. query, key: labels. i, j: the row and the column of the weight.
  show({ head, settings, i, j, query, key }) {
    const hidden = !settings.allowed(i, j);
    this.heading.replaceChildren(element("bdi", {}, query), " → ", element("bdi", {}, key),
      `: weight ${brief(head.weights[i][j])}`);
    this.calculation.replaceChildren(
      this.table(head, i, j, query, key),
      this.score(head, i, j),
      hidden ? element("p", {}, "The mask hides this key, so its weight is 0.")
        : this.weight(head, settings, i, j),
      this.share(head, i, j, query, key));
  }

  // The products of the features, or the largest of them; the others are summed.
  table({ q, k, products }, i, j, query, key) {
    const each = q[i].map((value, f) => ({ f, q: value, k: k[j][f], product: value * k[j][f] }));
    const bySize = each.toSorted((a, b) => Math.abs(b.product) - Math.abs(a.product));
    const shown = bySize.slice(0, MOST_PRODUCTS).sort((a, b) => a.f - b.f);
    const rest = bySize.slice(MOST_PRODUCTS);
    const others = rest.length ? [element("th", { scope: "col" }, `${rest.length} more`)] : [];
    const line = (name, cells, last) => element("tr", {}, element("th", { scope: "row" }, ...name),
      ...cells.map((value) => element("td", {}, brief(value))), ...last.map((text) => element("td", {}, text)));
    const filler = others.map(() => "");
    const restSum = others.map(() => brief(total(rest.map(({ product }) => product))));
    return element("div", { class: "scroll" }, element("table", {},
      element("caption", {}, "query times key"),
      element("thead", {}, element("tr", {}, element("td"),
        ...shown.map(({ f }) => element("th", { scope: "col" }, `${f + 1}`)), ...others,
        element("th", { scope: "col" }, "sum"))),
      element("tbody", {},
        line(["q of ", element("bdi", {}, query)], shown.map((part) => part.q), [...filler, ""]),
        line(["k of ", element("bdi", {}, key)], shown.map((part) => part.k), [...filler, ""]),
        line(["q × k"], shown.map(({ product }) => product),
          [...restSum, brief(products[i][j])]))));
  }

  score({ q, products, divisor, slope, scores }, i, j) {
    const division = divisor === 1 ? "" : ` / √${q[i].length}`;
    const distance = slope ? ` − ${brief(slope)} × ${Math.abs(i - j)}` : "";
    const end = division || distance ? ` = ${brief(scores[i][j])}` : "";
    return element("p", {}, `score = ${brief(products[i][j])}${division}${distance}${end}`);
  }

  weight({ scores, weights }, { temperature, allowed }, i, j) {
    const power = (place) =>
      element("span", {}, "e", element("sup", {}, brief(scores[i][place] / temperature)));
    const attended = scores[i].map((_, place) => place).filter((place) => allowed(i, place));
    const shown = attended.length > MOST_POWERS
      ? attended.toSorted((a, b) => weights[i][b] - weights[i][a]).slice(0, MOST_POWERS)
      : attended;
    const more = attended.length - shown.length;
    const sum = shown.flatMap((place, n) => (n ? [" + ", power(place)] : [power(place)]));
    const divided = temperature === 1 ? "" : ` (scores are divided by the temperature ${temperature})`;
    return element("p", {}, "weight = ", power(j), " / (", ...sum, more ? ` + ${more} more` : "",
      `) = ${brief(weights[i][j])}${divided}`);
  }

  share({ v, weights }, i, j, query, key) {
    const row = (numbers) => {
      const shown = numbers.slice(0, MOST_PRODUCTS).map(brief);
      return `(${shown.join(", ")}${numbers.length > shown.length ? ", …" : ""})`;
    };
    const weight = weights[i][j];
    return element("p", {}, "The output of ", element("bdi", {}, query), " gets ",
      `${brief(weight)} × v of `, element("bdi", {}, key), ` = ${brief(weight)} × ${row(v[j])} = `,
      row(v[j].map((value) => weight * value)));
  }
}
