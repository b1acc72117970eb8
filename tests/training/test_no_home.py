"""Test a whole run of a user without a home folder, a name, or an entry among the users."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from run_files import rows
from tiny_runs import TINY

from minitx.config.home import VARIABLES

ROOT = Path(__file__).parents[2]
NOBODY = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
# Python itself may be in a folder that only root may read.
NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@pytest.fixture
def nobody():
    """A command that runs another one as a user id without an entry."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    if subprocess.run([*NOBODY, "true"], check=False, capture_output=True).returncode:
        pytest.skip("setpriv may not give the right to read all files here")
    return NOBODY


@pytest.fixture
def public(text_file):
    """A folder with a text, in which every user may write. Others may not enter pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        shutil.copy(text_file, Path(folder, "t.txt"))
        yield Path(folder)


@pytest.mark.long
def test_a_user_without_home_and_name_trains_with_wandb(nobody, public):
    # WANDB_SERVICE leads to the W&B process of this one, which belongs to another user.
    unset = {"HOME", "USER", "LOGNAME", "WANDB_DATA_DIR", "WANDB_SERVICE", *VARIABLES}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    words = [*TINY, "logger=wandb", "data.path=t.txt", "run.dir=run"]
    answer = subprocess.run(
        [*nobody, sys.executable, ROOT / "scripts" / "train.py", *words],
        cwd=public,
        env=environment | {"TMPDIR": str(public)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    (said,) = [line for line in answer.stderr.splitlines() if "no home folder" in line]
    assert f"caches are in {public}/minitx-" in said
    assert len(rows(public / "run")) == 10
    assert list((public / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert not list(public.glob("minitx-*"))  # it was deleted at the end
