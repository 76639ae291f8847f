# SPDX-License-Identifier: Apache-2.0
"""What the benches share: subjects as process groups pinned to a core, their CPU time, rounds that take turns, medians."""
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CAUSEWAY_BUILD", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
CAUSEWAY = BUILD / "src" / "cli" / "causeway"


def cpu_s_by_session(sessions):
    """User and system time of every thread of these sessions (as their leaders' process ids), in their order."""
    totals = [0.0] * len(sessions)
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            session = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
            if session in sessions:
                for task in (entry / "task").iterdir():
                    totals[sessions.index(session)] += int((task / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue
    return totals


class Subject:
    """Commands that make up one subject; each gets a session of its own."""

    def __init__(self, name, folder, core):
        self.name, self.folder, self.core, self.processes = name, pathlib.Path(folder) / name, core, []
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def run(self, *command, core=None):
        core = self.core if core is None else core
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            self.processes.append(subprocess.Popen(
                [str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core})))

    def cpu_s(self):
        """By process: index as in run()."""
        return cpu_s_by_session([process.pid for process in self.processes])

    def stop(self):
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(8)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            except ProcessLookupError:
                pass
        self.processes = []

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]


def wait_for(condition, what, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s for this: {what}")
        time.sleep(0.05)


def is_installed(name, hint=""):
    if shutil.which(name):
        return True
    print(f"# {name} is not installed: left out {hint}", file=sys.stderr)
    return False


class Results:
    """Values of (case, subject, metric) over the rounds."""

    def __init__(self, units):
        self.units, self.values = units, {}

    def add(self, case, subject, **metrics):
        for metric, value in metrics.items():
            if value is not None:
                self.values.setdefault((case, subject, metric), []).append(value)

    def median(self, case, subject, metric):
        values = self.values.get((case, subject, metric))
        return statistics.median(values) if values else None

    def ratio(self, case, subject, other, metric):
        """The median over the rounds of what subject : other was in each."""
        pair = [self.values.get((case, name, metric)) for name in (subject, other)]
        return statistics.median(a / b for a, b in zip(*pair)) if all(pair) else None

    def print(self, as_json, columns, against=(), of=None):
        if as_json:
            for (case, subject, metric), values in self.values.items():
                print(json.dumps({"case": case, "subject": subject, "metric": metric,
                                  "value": round(statistics.median(values), 4), "unit": self.units[metric]}))
            return
        print(f'{"case":16} {"subject":14}' + "".join(f"{column:>22}" for column in columns) +
              "".join(f'{"x " + name:>12}' for name in against))
        for case, subject in dict.fromkeys((case, subject) for case, subject, _ in self.values):
            cells = [self.median(case, subject, column) for column in columns]
            ratios = [self.ratio(case, subject, name, of) for name in against]
            print(f"{case:16} {subject:14}" + "".join(f"{cell:22.3f}" if cell is not None else f'{"-":>22}' for cell in cells) +
                  "".join(f"{ratio:12.3f}" if ratio else f'{"-":>12}' for ratio in ratios))
