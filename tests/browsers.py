"""The system's Chromium, for tests of pages.

Without one these tests skip, but never where CI is set in the environment.
"""

import importlib.util
import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
PLAYWRIGHT = importlib.util.find_spec("playwright")

needs_browser = pytest.mark.skipif(
    not os.environ.get("CI") and not (CHROMIUM and PLAYWRIGHT),
    reason=f"needs playwright, and a Chromium on the path as one of {', '.join(NAMES)}",
)
