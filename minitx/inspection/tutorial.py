"""The example of many tutorials: "The cat sat", in four features.

The words and the matrices are small whole numbers, so that every result can be checked by hand.
"""

import torch

from minitx.inspection.scenes import example_scene
from minitx.inspection.steps import steps_of
from minitx.inspection.tables import Page, Section, Step, Table
from minitx.inspection.walkthrough import four_steps
from minitx.nn.attention import SelfAttention

TOKENS = ("The", "cat", "sat")
X = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
W_QUERY = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 1]])
W_KEY = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0], [0, 0, 1, -1]])
W_VALUE = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0]])


def worked_example(heads: int) -> SelfAttention:
    """Return the attention of the tutorial: no biases, and the identity as output projection."""
    module = SelfAttention(len(W_QUERY), heads, bias=False)
    matrices = {"query": W_QUERY, "key": W_KEY, "value": W_VALUE, "output": torch.eye(len(W_QUERY))}
    # A Linear holds the transpose of W.
    module.load_state_dict({f"{name}.weight": matrix.T for name, matrix in matrices.items()})
    return module.eval()


def tutorial() -> Page:
    """Return the whole example, once with one head and once with two."""
    features = [str(i + 1) for i in range(len(W_QUERY))]
    given = [
        Table("x", TOKENS, X),
        *(
            Table(name, features, matrix)
            for name, matrix in (("Wq", W_QUERY), ("Wk", W_KEY), ("Wv", W_VALUE))
        ),
    ]
    sections = [
        Section(
            "What is given",
            ["Three words of four features each, and three matrices. The rest follows from them."],
            [Step("The words x, and the matrices", (), given)],
        )
    ]
    sections += [
        _section(1, "One head", "Every word attends to all words, including itself."),
        _section(2, "Two heads", "The same, but each head has two of the four features."),
    ]
    title = "Self-attention, step by step"
    scene = example_scene(title, TOKENS, X, Wq=W_QUERY, Wk=W_KEY, Wv=W_VALUE)
    return Page(f'{title}: "{" ".join(TOKENS)}"', sections, scene)


def _section(count: int, title: str, note: str) -> Section:
    module = worked_example(count)
    steps = steps_of(module, lambda: module(X[None]))
    shown = four_steps(module, steps, range(count), TOKENS, TOKENS)
    return Section(title, [note], [*shown, _joined(module)] if count > 1 else shown)


def _joined(module: SelfAttention) -> Step:
    y, _ = module(X[None])
    sides = ", ".join(f"y of head {head}" for head in range(module.heads))
    return Step(
        "5. Joined",
        (f"output = [{sides}] Wo", "Here Wo is the identity"),
        [Table("output", TOKENS, y[0].detach())],
    )
