"""Test the section with a curve for each seed."""

from dataclasses import replace

from made_results import failing, made

from minitx.drawing.figures import png
from minitx.study.report.sections import SECTIONS


def test_every_finished_seed_has_a_curve_of_its_own():
    results = made(
        {"transformer": 0.9, "lstm": 0.6}, grid={"model.context": [16, 32]}, measure="accuracy"
    )
    section = SECTIONS["seed_curves"](failing(results, "lstm", [2]))
    table = section.table
    assert set(table[table["arm"] == "lstm"]["seed"]) == {1, 3}
    assert set(table[table["arm"] == "transformer"]["seed"]) == {1, 2, 3}
    curves = table.groupby(["arm", "point", "seed"])["step"]
    assert curves.ngroups == 2 * 3 + 2 * 2
    assert all(list(steps) == list(range(50, 501, 50)) for _, steps in curves)
    assert len(section.figure.axes) == 2
    assert all(len(axes.get_lines()) == 5 for axes in section.figure.axes)
    assert png(section.figure)


def test_a_seed_that_stops_early_has_a_shorter_curve():
    results = made({"lstm": 0.9}, measure="accuracy")
    stopped = results.chosen["key"].iloc[-1]
    curves = results.curves[(results.curves["key"] != stopped) | (results.curves["step"] <= 100)]
    section = SECTIONS["seed_curves"](replace(results, curves=curves))
    lasts = section.table.groupby("seed")["step"].max()
    assert sorted(lasts) == [100, 500, 500]
    assert len(section.figure.axes) == 1


def test_more_points_than_panels_stay_in_the_table():
    results = made(
        {"lstm": 0.9}, grid={"model.context": [8, 16, 32, 64, 128]}, measure="bits_per_byte"
    )
    section = SECTIONS["seed_curves"](results)
    assert len(section.figure.axes) == 4
    assert section.note.endswith("The table also has 8 tokens of context.")
    assert len(set(section.table["point"])) == 5


def test_a_measure_that_is_not_validated_has_no_curves():
    results = made({"lstm": 0.2}, measure="wer")
    curves = results.curves.drop(columns="val/wer")
    assert SECTIONS["seed_curves"](replace(results, curves=curves)) is None
