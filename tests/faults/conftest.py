"""Count how many trials of each fault held, and print the table of docs/reliability.md.

pytest tests/faults              # the fast part, as in the whole suite: a few trials of each fault
pytest tests/faults --campaign   # as many trials as the table states; takes hours
"""

from contextlib import contextmanager

import pytest

ROW = "faults"  # the property of a test report that carries its row of the table


def pytest_addoption(parser):
    parser.addoption(
        "--campaign", action="store_true", help="make every trial of the fault-injection campaign"
    )


def _campaign(config):
    """Return whether the whole campaign runs; without the path tests/faults, there is no option."""
    return config.getoption("--campaign", default=False)


def pytest_collection_modifyitems(config, items):
    """A campaign takes longer than the time limit of a test."""
    if _campaign(config):
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


class Tally:
    """The trials of one fault: how many were made, and which of them failed and why."""

    def __init__(self, fault, expectation):
        self.fault = fault
        self.expectation = expectation
        self.tried = 0
        self.failures = []

    @contextmanager
    def trial(self, name):
        """Count the block as one trial, which held unless it raises.

        A failure does not end the campaign: the test fails at its end and lists all of them.
        """
        self.tried += 1
        try:
            yield
        except Exception as error:  # pytest.fail and pytest.skip pass through
            self.failures.append(f"{name}: {type(error).__name__}: {error}")


@pytest.fixture
def trials(request):
    """Return a function that picks the number of trials: `for seed in trials(fast=2, full=20)`."""

    def trials(fast, full):
        return range(full if _campaign(request.config) else fast)

    return trials


@pytest.fixture
def tally(request):
    """Return a function that starts a row of the table: `tally(fault, expectation)`."""
    tallies = []

    def start(fault, expectation):
        tallies.append(Tally(fault, expectation))
        return tallies[-1]

    yield start
    for row in tallies:
        held = row.tried - len(row.failures)
        request.node.user_properties.append((ROW, (row.fault, row.expectation, row.tried, held)))
    failures = [failure for row in tallies for failure in row.failures]
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


def pytest_terminal_summary(terminalreporter, config):
    """Print the rows in Markdown, ready for docs/reliability.md."""
    rows = [
        row
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, row in report.user_properties
        if name == ROW
    ]
    if not (rows and _campaign(config)):
        return
    terminalreporter.section("faults")
    terminalreporter.write_line("| fault | expected | tried | held |")
    terminalreporter.write_line("| --- | --- | ---: | ---: |")
    for row in sorted(rows):
        terminalreporter.write_line("| " + " | ".join(map(str, row)) + " |")
