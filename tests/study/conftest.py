"""Fixtures for the tests of whole studies."""

from functools import partial

import pytest

from minitx.study.measure import measuring
from minitx.study.measure.costs import latency_ms
from minitx.study.report import files


@pytest.fixture
def briefly(monkeypatch):
    """Studies measure each latency but twice, and write reports whose pictures nobody draws.

    What the pictures of a report are, `test_study_report.py` tests.
    """
    monkeypatch.setattr(measuring, "latency_ms", partial(latency_ms, seconds=0.0))
    monkeypatch.setattr(files, "png", lambda figure: b"")
    monkeypatch.setattr(files, "svg", lambda figure: "<svg/>")
