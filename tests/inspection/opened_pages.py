"""What tests read in a page of attention maps that is open in a browser."""

import base64

import pytest
import torch


def settle(opened, frames=3):
    """Waits until what is drawn in the next frames is drawn."""
    opened.evaluate(
        """async (frames) => {
          for (let i = 0; i < frames; i++) await new Promise(requestAnimationFrame);
        }""",
        frames,
    )


def heading(opened):
    return opened.locator(".matrix h3").inner_text()


def values_at(opened, places):
    """What the tip says of each of the cells (row, column) while the mouse is over it."""
    opened.locator(".matrix").evaluate("section => section.scrollIntoView()")
    box = opened.locator(".matrix .cells").bounding_box()
    rows, columns = opened.evaluate(
        "() => { const c = document.querySelector('.matrix canvas'); return [c.height, c.width] }"
    )
    texts = []
    for row, column in places:
        opened.mouse.move(
            box["x"] + (column + 0.5) * box["width"] / columns,
            box["y"] + (row + 0.5) * box["height"] / rows,
        )
        texts.append(opened.evaluate("document.querySelector('.tip strong').textContent"))
    return texts


def value_at(opened, row, column):
    return values_at(opened, [(row, column)])[0]


def assert_shows(opened, weights):
    """Every cell of the map, read by the mouse, holds the weight that is in the tensor."""
    places = torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist()
    for (row, column), text in zip(places, values_at(opened, places), strict=True):
        weight = float(weights[row, column])
        if weight == 0:
            assert text == "0"
        elif weight < 0.00005:
            assert text == "< 0.0001"
        else:
            assert float(text) == pytest.approx(weight, abs=7e-5), (row, column)


def pixels(opened, selector):
    """The first canvas of a selector, as a tensor (rows, columns, 4) of red, green, blue, alpha."""
    width, height, encoded = opened.evaluate(
        """(selector) => {
          const canvas = document.querySelector(selector);
          const { width, height } = canvas;
          // Out of a copy: of a canvas that is read itself the browser says that this is slow.
          const copy = new OffscreenCanvas(width, height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, width, height);
          return [width, height, btoa(Array.from(data, (c) => String.fromCharCode(c)).join(""))];
        }""",
        selector,
    )
    return torch.tensor(list(base64.b64decode(encoded))).view(height, width, 4)


def line_ends(opened, side):
    """Which tokens of a side have a line drawn to them: seen in the canvas's outermost pixels."""
    image = pixels(opened, ".lines canvas")
    edge = image[:, 1, 3] if side == "query" else image[:, -2, 3]
    tokens = opened.locator(f".tokens.{side} li")
    height = tokens.first.bounding_box()["height"]
    middles = [int((i + 0.5) * height) for i in range(tokens.count())]
    return [i for i, y in enumerate(middles) if edge[y - 1 : y + 2].max() > 0]


def press(opened, *keys):
    for key in keys:
        opened.keyboard.press(key)


def tab_to(opened, name, most=12):
    """Presses Tab until the element of this name has the focus."""
    for _ in range(most):
        opened.keyboard.press("Tab")
        if opened.evaluate("document.activeElement.getAttribute('aria-label')") == name:
            return
    raise AssertionError(f"{name} is not reached")
