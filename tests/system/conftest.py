# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests. The laboratory itself is tools/lab; tests/system/README.md explains both."""
import os
import pathlib
import re
import shutil
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path[:0] = [str(TOP / "tools"), str(HERE)]

from lab import Lab  # noqa: E402  (needs the path above)
from lab.servers import at  # noqa: E402
from lab.surroundings import settle, why_no_namespaces  # noqa: E402

ARTEFACTS = TOP / "tests" / "artefacts"
settle()


def pytest_collection_modifyitems(items):
    needing = [item for item in items if "lab" in item.fixturenames or item.get_closest_marker("needs_root")]
    reason = why_no_namespaces() if needing else None
    for item in needing if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the end of every log of its laboratory, and leaves the whole in tests/artefacts."""
    report = (yield).get_result()
    if not report.failed:
        return
    for name in ("lab", "local_lab"):
        lab = item.funcargs.get(name)
        if not lab or not os.path.isdir(lab.directory):
            continue
        folder = ARTEFACTS / re.sub(r"[^\w.-]+", "_", item.nodeid)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for log, text in lab.logs():
            (folder / log).write_text(text)
            report.sections.append((f"{log} (whole in {folder.relative_to(TOP)})", text[-3000:]))


@pytest.fixture(scope="session")
def build():
    """The build folder: CAUSEWAY_BUILD, or `build`."""
    folder = pathlib.Path(os.environ.get("CAUSEWAY_BUILD", TOP / "build")).resolve()
    if not (folder / "build.ninja").exists():
        pytest.exit(f"{folder} is no build folder: run make first", returncode=3)
    return folder


@pytest.fixture(scope="session")
def causeway_program(build):
    program = build / "src" / "cli" / "causeway"
    assert program.exists(), f"{program} was not built"
    return program


@pytest.fixture(scope="session")
def wan_program(build):
    return build / "tools" / "wan" / "wan"


def no_sanitizer_reports(laboratory):
    """Ends all programs, and fails for what a sanitizer said of any: a child that died of it is replaced without much ado."""
    for process in reversed(laboratory.processes):
        process.stop()
    if not os.path.isdir(laboratory.directory):
        return  # the test has closed it
    for name, text in laboratory.logs():
        found = re.search(r"(?:WARNING|ERROR): \w+Sanitizer(?s:.*)|.*: runtime error: (?s:.*)", text)
        assert not found, f"{name}:\n{found[0][:6000]}"


@pytest.fixture
def lab(wan_program):
    """A laboratory with namespaces of its own; a test that asks for it is skipped without root."""
    with Lab(wan_program) as made:
        yield made
        no_sanitizer_reports(made)


@pytest.fixture
def local_lab(wan_program):
    """A laboratory on loopback, for tests that need no root: use only here(), start() and relay()."""
    with Lab(wan_program) as made:
        yield made
        no_sanitizer_reports(made)


@pytest.fixture
def start_origin():
    """start_origin(lab, namespace, (address, port), ...) runs origin.py and waits until it listens."""

    def start(laboratory, namespace, *listen, name="origin"):
        process = laboratory.start(name, [sys.executable, HERE / "origin.py", *(at(*pair) for pair in listen)], namespace)
        process.wait_for_output("^ready$")
        return process

    return start


@pytest.fixture
def start_websocket_echo():
    def start(laboratory, namespace, address, port, name="websocket"):
        process = laboratory.start(name, [sys.executable, HERE / "websocket_echo.py", address, str(port)], namespace)
        process.wait_for_output("^ready$")
        return process

    return start


@pytest.fixture(params=[4, 6], ids=["ipv4", "ipv6"])
def version(request):
    """Every network test runs over both address families."""
    return request.param
