"""Run scripts in forks of a process that has imported what they need.

`python scripts/train.py` computes for five seconds until torch and Lightning are imported, which is
longer than a tiny run takes. A fork of a process that has imported them needs milliseconds. From
there on it is a process like any other: it has a session, streams and an environment of its own,
gets signals, and ends as Python ends. What is said or imported while a process starts, and what it
makes of streams that are closed, can only be tested in a process that starts: those tests use
`subprocess`.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

# What torch says of data.workers=2 where there is one core.
FEW_CORES = "ignore:This DataLoader will create:UserWarning"
NUMBER = struct.Struct("i")  # a process's id or exit status
MOST_BYTES = 2**17  # of a request; nearly all of it is the environment


class Server:
    """A process that imports modules when the first script runs, and is forked for each script."""

    def __init__(self, *modules):
        self.modules = modules
        self._requests = None

    def start(self, script, *words, cwd=None, env=None, streams=(None, None, None), modules=None):
        """Start a script with the words of a command line, as `subprocess.Popen` does.

        `streams` are file descriptors for its standard input, output and error. Where there is
        none, the script reads nothing, and `communicate` returns what it writes. When it ends, it
        writes the names of the modules that it has imported to the file `modules`.
        """
        if self._requests is None:
            self._requests = self._serve()
        request = {
            "words": [str(script), *map(str, words)],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ | (env or {})),
            "modules": modules and str(modules),
        }
        ended, status = os.pipe()
        out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 (the process's)
        with Path(os.devnull).open("rb") as nothing:
            own = [file.fileno() for file in (nothing, out, err)]
            streams = [o if s is None else s for s, o in zip(streams, own, strict=True)]
            message = json.dumps(request).encode()
            socket.send_fds(self._requests, [message], [*streams, status])
        os.close(status)
        return Process(request["words"], ended, out, err)

    def run(self, script, *words, timeout=None, **how):
        """Run a script until it ends, as `subprocess.run` does with `capture_output`."""
        process = self.start(script, *words, **how)
        try:
            out, err = process.communicate(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _serve(self):
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            command = [sys.executable, "-W", FEW_CORES, __file__, str(its.fileno()), *self.modules]
            server = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
        atexit.register(server.wait)
        atexit.register(ours.close)  # which ends it
        return ours


class Process:
    """A script that runs, with the methods of `subprocess.Popen`."""

    def __init__(self, words, ended, out, err):
        self.args = words
        self.returncode = None
        self._ended, self._out, self._err = ended, out, err  # the descriptor of a pipe, and files
        self.pid = self._number()

    def _number(self):
        number = os.read(self._ended, NUMBER.size)
        assert number, "the server has ended"
        return NUMBER.unpack(number)[0]

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout=None):
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._number()
            os.close(self._ended)
        return self.returncode

    def communicate(self, timeout=None):
        """Wait for the end, and return what was written to standard output and standard error."""
        self.wait(timeout)
        for file in (self._out, self._err):
            file.seek(0)
        return self._out.read().decode(), self._err.read().decode()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


# What scripts/*.py import before they open a run or a corpus, none of which is torch ...
LIGHT = Server("minitx.commands.cli", "minitx.config.command_line", "minitx.runs.paths")
# ... and after that.
WARM = Server(
    "minitx.commands.cli",
    "minitx.training.train",
    "minitx.drawing.figures",
    "minitx.decoding.translation",
    "minitx.study.run.compare",
)


def serve(requests):
    """Fork for each request. Only the forked processes return, and give their request."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets those that have ended
    while True:
        message, descriptors, *_ = socket.recv_fds(requests, MOST_BYTES, 4)
        if not message:
            sys.exit()
        if os.fork() == 0:
            break
        for each in descriptors:
            os.close(each)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, ended = descriptors
    process = os.fork()
    if process:  # between the server and the script, one waits for the script
        for each in streams:
            os.close(each)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        os.write(ended, NUMBER.pack(status))
        os._exit(0)
    os.setsid()
    os.write(ended, NUMBER.pack(os.getpid()))
    os.close(ended)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    return json.loads(message)


def handle_signals():
    """Handle signals as a process does that a shell starts, however the tests were started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def become(request):
    """Make this process what it is when Python has started a script."""
    handle_signals()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ |= request["env"]
    own = {"encoding": "utf-8", "closefd": False}
    sys.stdin = os.fdopen(0, **own)
    sys.stdout = os.fdopen(1, "w", **own)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", **own)
    sys.argv[:] = request["words"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    random.seed()
    if request["modules"]:
        atexit.register(lambda: Path(request["modules"]).write_text("\n".join(sys.modules)))


if __name__ == "__main__":
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # else each fork would copy all objects when it looks for garbage
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
    runpy.run_path(sys.argv[0], run_name="__main__")
