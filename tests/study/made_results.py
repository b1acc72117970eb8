"""Made-up results of studies, with known figures."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from minitx.config.schema import StudyConfig
from minitx.metrics.decomposable import MEASURES
from minitx.study.results.results import Results

ITEMS = 400
RATES = (0.005, 0.01, 0.02)
SWEEP_SEED = 0


def made(
    levels,
    *,
    grid=None,
    seeds=(1, 2, 3),
    measure="bits_per_byte",
    sections=("quality", "curves", "cost", "tuning"),
    spread=0.01,
    rates=RATES,
    best_rate=0.01,
    preset="full",
    draw=0,
    details=lambda arm, point, seed: {},
):
    """A study whose arms have these headline figures: {arm: level} or {arm: point -> level}.

    `spread` is the standard deviation over seeds. The levels of items differ much more, but alike
    for all arms, so that only a paired bootstrap sees small differences.
    """
    grid = grid or {}
    draw = np.random.default_rng(draw)
    hardness = draw.gamma(4, 0.25, ITEMS)  # of the items, with mean 1
    rows, curves, items, found = [], [], {}, {}
    for arm, point in product(levels, product(*grid.values())):
        level = levels[arm](*point) if callable(levels[arm]) else levels[arm]
        sweep = [(rate, SWEEP_SEED) for rate in rates] if len(rates) > 1 else []
        for rate, seed in [*sweep, *product([best_rate], seeds)]:
            chosen = seed != SWEEP_SEED
            key = f"{arm}-{'-'.join(map(str, point))}-{rate}-{seed}"
            value = level + spread * draw.standard_normal()
            worse = abs(np.log2(rate / best_rate)) * 0.05
            row = {
                "key": key,
                "folder": f"studies/runs/{key}",
                "status": "finished",
                "reason": "",
                "arm": arm,
                **dict(zip(grid, point, strict=True)),
                "optimizer.muon_lr": rate,
                "seed": seed,
                "swept": not chosen,
                "chosen": chosen,
                "parameters": 798_080 + 1000 * len(arm),
                "parameters_non_embedding": 780_000,
                "steps": 500,
                "tokens_seen": 384_000,
                "train_seconds": 60.0 * (1 + len(arm) % 3) + seed,
                "tokens_per_second": 384_000 / (60.0 * (1 + len(arm) % 3) + seed),
                "peak_memory_mb": 512.3,
                "data_fingerprint": "same",
                "val/loss": level + worse,
            }
            if chosen:
                wholes = np.full(ITEMS, 64.0)
                noise = draw.normal(0, 0.02, ITEMS)
                parts = _parts(measure, value, hardness, noise, wholes)
                items[key] = np.stack([parts, wholes], axis=1)
                row |= {
                    f"test/{measure}": MEASURES[measure].of(items[key]),
                    "operations_per_token": 1.6e6,
                    "latency_ms": 0.8 + 0.3 * len(arm),
                }
                found[key] = details(arm, point, seed)
            rows.append(row)
            for step in range(50, 501, 50):
                curves.append(
                    {
                        "key": key,
                        "step": step,
                        "tokens_seen": 768 * step,
                        "train_seconds": row["train_seconds"] * step / 500,
                        "val/loss": (value + worse) * (1 + 0.5 * np.exp(-step / 60)),
                        f"val/{measure}": value * (1 + 0.5 * np.exp(-step / 60)),
                    }
                )
    study = StudyConfig(
        name="architectures",
        question="At equal size and equal data, is attention better than recurrence?",
        arms={arm: [f"model={arm}"] for arm in levels},
        grid=grid,
        sweep={"optimizer.muon_lr": list(rates)},
        settings=["trainer.max_steps=500"],
        sections=list(sections),
    )
    return Results(
        study,
        "shakespeare",
        preset,
        MEASURES[measure],
        pd.DataFrame(rows),
        pd.DataFrame(curves),
        items,
        found,
        {},
        "python scripts/compare.py study=architectures preset=full",
        {"processor": "a processor", "cores": "2", "torch": "2.13.0", "commit": "aaaaaa"},
    )


def _parts(measure, value, hardness, noise, wholes):
    """What items add, so that their score is about `value`."""
    if measure == "bits_per_byte":
        value = value * np.log(2)
    return value * (hardness / hardness.mean() + noise - noise.mean()) * wholes


def failing(results, arm, seeds, reason="the loss is not a number", status="failed"):
    """The same, but the chosen runs of an arm with these seeds have come to nothing."""
    runs = results.runs.copy()
    lost = (runs["arm"] == arm) & runs["seed"].isin(seeds) & runs["chosen"]
    runs.loc[lost, ["status", "reason"]] = status, reason
    numbers = runs.columns[runs.columns.get_loc("parameters") :]
    runs.loc[lost, numbers] = None
    keys = set(runs.loc[lost, "key"])
    return replace(
        results,
        runs=runs,
        curves=results.curves[~results.curves["key"].isin(keys)],
        items={key: value for key, value in results.items.items() if key not in keys},
        details={key: value for key, value in results.details.items() if key not in keys},
    )
