# SPDX-License-Identifier: Apache-2.0
"""Processes that write a log file, announce when they are ready, and end with us."""
import ctypes
import os
import re
import signal
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
PATIENCE_S = 30.0  # where a wait has no bound of its own: it says that something is stuck, not how fast the machine is


class NotReady(AssertionError):
    """A condition did not come true in time."""


def wait_until(condition, timeout=PATIENCE_S, what="the condition", every=0.02):
    """The first true value of condition(); NotReady after the timeout."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise NotReady(f"not within {timeout:g} s: {what}")
        time.sleep(every)


def _end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A program whose output goes to DIRECTORY/NAME.log. `prefix` is how to enter its namespace."""

    def __init__(self, name, command, directory, prefix=(), environment=None):
        self.name = name
        self.log_path = os.path.join(directory, f"{name}.log")
        self.command = [str(word) for word in command]
        with open(self.log_path, "ab") as log:
            self._start = log.tell()
            # also outside of tests: nginx and its like live there
            path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
            self._popen = subprocess.Popen(
                [*prefix, *self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": path, **(environment or {})}, preexec_fn=_end_with_parent,
                start_new_session=True)  # Ctrl-C is for us alone; we end the others in order
        self.pid = self._popen.pid

    @property
    def is_running(self):
        return self._popen.poll() is None

    @property
    def status(self):
        """Exit status; negative: the signal that ended it; None while it runs."""
        return self._popen.poll()

    def output(self):
        """What this start of the program has written so far."""
        with open(self.log_path, "rb") as log:
            log.seek(self._start)
            return log.read().decode(errors="replace")

    def wait_until(self, condition, timeout=PATIENCE_S, what="the condition"):
        """Like wait_until(), but gives up at once with the log when the process has ended."""

        def alive():
            value = condition()
            if not value and not self.is_running:
                raise NotReady(f"{self.name} ended with status {self.status} before {what}:\n{self.output()[-4000:]}")
            return value

        try:
            return wait_until(alive, timeout, f"{self.name}: {what}")
        except NotReady as error:
            raise NotReady(f"{error}\n{self.output()[-4000:]}") from None

    def wait_for_output(self, pattern, timeout=PATIENCE_S):
        return self.wait_until(lambda: re.search(pattern, self.output(), re.M), timeout, f"its output has {pattern!r}")

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, timeout=PATIENCE_S):
        """Waits for the end; returns the status."""
        return self._popen.wait(timeout)

    def kill(self):
        """The hard way, as a crash would look."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, timeout=PATIENCE_S):
        """SIGTERM, and SIGKILL when that takes too long. Returns the status."""
        if self.is_running:
            self._popen.terminate()
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._popen.returncode
