"""Show the loss along the context."""

import pandas as pd
from matplotlib.figure import Figure

from minitx.metrics.decomposable import MEASURES
from minitx.study.report.sections import Section
from minitx.study.report.style import draw_line, finish, name_axes, panels, scale_steps, styles
from minitx.study.results.octaves import measured_octaves
from minitx.study.results.results import Results
from minitx.study.statistics.intervals import mean_interval

LOSS = MEASURES["loss"].bounds


def section(results: Results) -> Section | None:
    measured = measured_octaves(results)
    if not measured:
        return None
    return Section(
        name="positions",
        title="The loss along the context",
        table=pd.concat([_table(name, each) for name, each in measured.items()], ignore_index=True),
        figure=_figure(results, measured),
        note=(
            "On test, in nats/token: the mean loss at the positions between two doublings of the "
            "context, drawn at the last of them. At position n the next token is predicted from n "
            "tokens. There are few tokens at the first positions. Tokens at other "
            "positions are other tokens, and some are easier than others, so the loss may rise "
            "although the context is longer. Bands: 95% intervals over seeds (Student's t on the "
            "log scale)."
        ),
    )


def _table(name: str, losses: pd.DataFrame) -> pd.DataFrame:
    starts = [1, *(end + 1 for end in losses.columns)]
    return pd.DataFrame(
        {
            "arm": name,
            "positions from": start,
            "to": end,
            **mean_interval(losses[end].to_numpy(), LOSS).columns("loss, nats/token"),
            "seeds": len(losses),
        }
        for start, end in zip(starts, losses.columns, strict=False)
    )


def _figure(results: Results, measured: dict[str, pd.DataFrame]) -> Figure:
    figure, [axes] = panels()
    own = styles(measured)
    for name, losses in measured.items():
        means = [mean_interval(losses[end].to_numpy(), LOSS) for end in losses.columns]
        draw_line(axes, own[name], losses.columns, means)
    scale_steps(axes.xaxis, {end for losses in measured.values() for end in losses.columns})
    name_axes(axes, "position, tokens of context", "loss on test, nats/token")
    return finish(figure, f"{results.title}: the loss along the context", own)
