# SPDX-License-Identifier: Apache-2.0
"""The demo tells its story, every step holds, and nothing of it stays: also the test of the whole road."""
import glob
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from lab import wait_until


class Demos:
    """Demos of our own: what others run on this machine is not ours to judge."""

    def __init__(self, program):
        self.program, self.pids = program, []
        self.folder = tempfile.mkdtemp(prefix="cwt-", dir="/tmp")
        os.chmod(self.folder, 0o777)  # one of them is nobody's

    def start(self, *words, prefix=()):
        demo = subprocess.Popen([*prefix, self.program, "demo", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env={**os.environ, "TMPDIR": self.folder})
        self.pids.append(demo.pid)  # the program becomes the demo, which names all after itself
        return demo

    def tell(self, prefix=()):
        with self.start("--once", prefix=prefix) as demo:
            story = demo.communicate(timeout=300)[0]
        assert demo.returncode == 0, story
        assert "Every step held." in story

    def leftovers(self):
        return os.listdir(self.folder) + [path for pid in self.pids for path in glob.glob(f"/run/netns/cwdemo{pid}-*")]


@pytest.fixture
def demos(causeway_program):
    made = Demos(causeway_program)
    yield made
    wait_until(lambda: not made.leftovers(), what=f"nothing is left of the demo: {made.leftovers()}")
    shutil.rmtree(made.folder)


@pytest.mark.needs_root
def test_R1_R5_R8_T1_story_holds_in_namespaces(demos):
    demos.tell()


def test_story_holds_on_loopback(demos):
    prefix = ()
    if os.geteuid() == 0:
        if not is_strangers(demos.program):
            pytest.skip("an unprivileged user cannot read this folder")
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    demos.tell(prefix)


def is_strangers(path):
    """True when a stranger can reach and run the file."""
    return all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in [path, *path.parents])


@pytest.mark.needs_root
def test_interrupted_demo_leaves_nothing(demos):
    with demos.start() as demo:
        for line in demo.stdout:
            if line.startswith("1. "):
                break
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        assert demo.wait(60) == 0
