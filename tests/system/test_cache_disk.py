# SPDX-License-Identifier: Apache-2.0
"""The cache's disk tier: what survives, what does not, and that no wrong byte is ever served. tests/disk does the same at length."""
import http.client
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from lab.process import wait_until

from cache_disk import BLOCK, Machine, Readers, block_of, damage_and_restart, is_right, kill_while_writing, path_of

KILLS, DAMAGES = 10, 100


@pytest.fixture
def machine(local_lab, causeway_program, start_origin):
    made = Machine(local_lab, causeway_program, start_origin)
    made.wait_for("in use")
    return made


def test_C1_a_restart_serves_from_disk_without_asking_the_origin(machine):
    numbers = range(200)
    assert Readers(machine, numbers).join().hits == 0
    machine.settle()
    machine.node.stop()
    machine.start()
    before = machine.asked()
    readers = Readers(machine, numbers).join()
    assert readers.hits == readers.whole == 200 and machine.asked() == before + 1
    machine.node.stop()
    machine.start()
    before = machine.asked()
    connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=10)
    for number, method, fields, length in ((1, "HEAD", {}, 0), (2, "GET", {"Range": "bytes=10-19"}, 10), (3, "GET", {"Cache-Control": "only-if-cached"}, None)):
        connection.request(method, path_of(number), headers={"Host": "shop.example", **fields})
        answer = connection.getresponse()
        body = answer.read()
        assert "hit" in answer.headers["Cache-Status"] and answer.status == (206 if "Range" in fields else 200)
        assert len(body) == length if length is not None else is_right(number, body)
    assert machine.asked() == before + 1, "whatever is asked for, and how"
    cache = machine.cache()
    assert cache["disk_loads"] == 3 and cache["disk_bad"] == cache["disk_errors"] == 0
    if os.geteuid() == 0:  # the node's user, who is not us
        assert os.stat(machine.folder).st_uid != 0 and os.stat(machine.folder).st_mode & 0o777 == 0o700


def test_C1_a_304_writes_the_head_alone(machine):
    size, seed = 14 * BLOCK, 3  # a 64th of the disk is the most
    path = f"/bytes/{size}?seed={seed}&tag=1"

    def get(**fields):
        connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=20)
        connection.request("GET", path, headers={"Host": "shop.example", **fields})
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == block_of(seed) * (size // BLOCK)
        return answer.headers["Cache-Status"]

    def on_disk():
        return sum(os.path.getsize(name) for name in machine.segments())

    get()
    wait_until(lambda: machine.cache()["disk_written"] > size, 20, "it is on disk", every=0.05)
    before, files = machine.cache(), on_disk()
    for number in range(5):
        assert "304" in get(**{"Cache-Control": "no-cache"})
        wait_until(lambda wanted=number + 1: machine.cache()["disk_renewals"] == wanted, 20, "its head is on disk", every=0.05)
    written = machine.cache()["disk_written"] - before["disk_written"]
    assert written == on_disk() - files and 0 < written < 5 * 2048, "of 5 times the content"
    machine.node.kill()
    machine.start()
    asked = machine.asked()
    assert "hit" in get() and machine.asked() == asked + 1


def test_C2_what_was_purged_before_a_crash_is_not_served_after_it(machine):
    Readers(machine, range(20)).join()
    machine.settle()
    writes = machine.cache()["disk_writes"]
    for number in range(0, 20, 2):
        assert machine.get(path_of(number), "POST") == 200
    wait_until(lambda: machine.cache()["disk_writes"] >= writes + 10, 10, "the purges are in the log", every=0.05)
    for _ in range(2):
        machine.node.kill()
        machine.start()
        for number in range(20):
            assert Readers(machine, [number], threads=1).join().hits == (number % 2 or _), number
        machine.settle()


def test_C1_killed_while_it_writes(machine):
    print(kill_while_writing(machine, KILLS))


def test_C1_damaged_files_are_misses(machine):
    result = damage_and_restart(machine, DAMAGES, at_once=20)
    print(result)
    assert result["of them from disk"] > result["answers checked"] / 5


def test_C1_the_folder_goes_to_the_next_process_in_an_upgrade(machine):
    Readers(machine, range(100)).join()
    machine.settle()
    slow = socket.create_connection(("127.0.0.1", machine.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /bytes/30000000?seed=1 HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    assert slow.recv(100)
    assert "took over" in machine.node.run("upgrade").stdout
    machine.wait_for("in use")
    assert "front" in [elder["name"] for elder in machine.node.status()["elders"]], "it has a visitor still, but no folder"
    before = machine.asked()
    readers = Readers(machine, range(100)).join()
    assert readers.hits == 100 and machine.asked() == before + 1
    os.kill(machine.node.pid, signal.SIGHUP)
    machine.node.wait_for_log("every process has taken")
    assert machine.cache()["disk"] == "in use" and machine.cache()["disk_loads"] == 100, "a reload changes nothing"
    slow.close()


def test_C1_a_folder_that_vanishes_or_cannot_be_used_costs_only_misses(machine):
    Readers(machine, range(50)).join()
    machine.settle()
    shutil.rmtree(machine.folder)
    Readers(machine, range(50, 100)).join()
    os.kill(machine.node.pid, signal.SIGHUP)
    wait_until(lambda: os.path.isdir(machine.folder) and machine.segments(), 10, "a reload makes it anew", every=0.05)
    machine.wait_for("in use")
    Readers(machine, range(100, 150)).join()
    machine.settle()
    assert machine.cache()["disk_objects"] >= 50
    machine.node.stop()
    if os.geteuid() == 0:
        shutil.rmtree(machine.folder)
        os.mkdir(machine.folder, 0o700)  # root's own, and not empty: else it would be taken over
        with open(os.path.join(machine.folder, "somebody's"), "w", encoding="ascii"):
            pass
        machine.node.start()
        machine.wait()
        assert machine.cache()["disk"] == "there is none" and Readers(machine, range(20)).join().whole == 20
        check = machine.node.run("check", "--node", "one", check=False)
        assert check.returncode == 0 and "may not write to it" in check.stderr
        assert "may not write to it" in machine.node.run("doctor", check=False).stdout


def test_C1_a_full_disk_costs_only_misses(local_lab, causeway_program, start_origin):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = local_lab.path("small")
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small], check=True)
    try:
        machine = Machine(local_lab, causeway_program, start_origin, folder=small + "/cache", memory="256M")
        machine.wait_for("in use")
        Readers(machine, range(600)).join()
        wait_until(lambda: machine.cache()["disk_error"] == "No space left on device", 10, "it is full", every=0.05)
        machine.node.wait_for_log("the cache's folder: No space left on device")
        assert "is full" in machine.node.run("doctor", check=False).stdout
        for number in range(0, 600, 3):
            assert machine.get(path_of(number), "POST") == 200
        time.sleep(0.5)
        machine.node.kill()
        machine.start()
        readers = Readers(machine, range(0, 600, 3)).join()
        assert readers.hits == 0, "purges were written all the same"
        machine.node.stop()
    finally:
        subprocess.run(["umount", "-l", small], check=True)
