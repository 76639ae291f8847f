# SPDX-License-Identifier: Apache-2.0
"""The demo tells its story, every step holds, and nothing of it stays: also the test of the whole road."""
import glob
import os
import signal
import subprocess

import pytest

from lab import wait_until


def leftovers():
    return glob.glob("/run/netns/cwdemo*") + glob.glob("/tmp/cwdemo-*")


@pytest.fixture
def clean():
    """Demos that others run on this machine are not ours to judge."""
    before = set(leftovers())
    yield
    wait_until(lambda: set(leftovers()) <= before, what=f"nothing is left of the demo: {leftovers()}")


@pytest.mark.needs_root
def test_R1_R5_R8_T1_story_holds_in_namespaces(causeway_program, clean):
    result = subprocess.run([causeway_program, "demo", "--once"], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every step held." in result.stdout


def test_story_holds_on_loopback(causeway_program, clean):
    command = [causeway_program, "demo", "--once"]
    if os.geteuid() == 0:
        if not os.access(causeway_program, os.X_OK) or not world_readable(causeway_program):
            pytest.skip("an unprivileged user cannot read this folder")
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every step held." in result.stdout


def world_readable(path):
    """True when a stranger can reach and run the file."""
    return all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in [path, *path.parents])


@pytest.mark.needs_root
def test_interrupted_demo_leaves_nothing(causeway_program, clean):
    with subprocess.Popen([causeway_program, "demo"], stdout=subprocess.PIPE, text=True) as demo:
        for line in demo.stdout:
            if line.startswith("1. "):
                break
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        assert demo.wait(60) == 0
