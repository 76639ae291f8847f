# SPDX-License-Identifier: Apache-2.0
"""An edge whose cache has a disk tier, on one machine, and clients that check every byte against what the origin would have said: content
follows from the URL. For test_cache_disk.py, and for tests/disk, which does more of the same."""
import collections
import functools
import hashlib
import http.client
import os
import random
import re
import threading
import time

from lab.causeway import Causeway
from lab.process import wait_until

BLOCK = 65536
Answer = collections.namedtuple("Answer", "status body is_hit")


@functools.lru_cache(maxsize=2000)
def block_of(seed):
    """origin.py's pattern repeats it."""
    return hashlib.shake_128(b"%d" % seed).digest(BLOCK)


def size_of(number):
    return 300_000 + number if number % 29 == 0 else number * 7919 % 30_000 + 1


def path_of(number):
    return f"/bytes/{size_of(number)}?seed={number}&tag=1"


def is_right(number, body, whole=True):
    size, block = size_of(number), block_of(number)
    right = (block * (size // BLOCK + 1))[:size]
    return body == right if whole else right.startswith(body)


class Machine:
    """Edge and gateway in one node, with origin.py behind it."""

    def __init__(self, lab, program, start_origin, memory="64M", size="64M", folder=None):
        self.here = lab.here()
        self.origin, self.port = self.here.free_port(), self.here.free_port()
        self.folder = folder or lab.path("cache")
        start_origin(lab, self.here, ("127.0.0.1", self.origin))
        self.node = Causeway(lab, program, f"""
nodes:
  one:
    run_dir: {lab.path("run")}
    workers: 2
    admin: off
    addresses: [127.0.0.1]
    capacity: {{cpu: 0}}
    edge: {{listen: ["127.0.0.1:{self.port}"], cache: {{memory: {memory}, disk: {{path: {self.folder}, size: {size}}}}}}}
    gateway: {{allow_local: true, allow: [{{edges: [one], sites: [shop]}}]}}
sites:
  shop:
    hosts: [shop.example]
    origins: ["http://127.0.0.1:{self.origin}"]
    rules: [{{match: {{path: "/bytes/*"}}, cache: {{ttl: 1h}}}}]
    cache: {{on: true}}
""")
        self.wait()

    def wait(self):
        wait_until(lambda: self.get("/") == 200, 20, "the site answers", every=0.05)

    def start(self):
        self.node.start()
        self.wait()
        self.wait_for("in use")

    def cache(self):
        return self.node.status()["roles"]["front"]["edge"]["cache"]

    def wait_for(self, state, timeout=20):
        wait_until(lambda: self.cache()["disk"] == state, timeout, f"the disk tier is: {state}", every=0.05)

    def settle(self):
        """What was kept is written, as far as it will be."""
        before = None
        for _ in range(100):
            cache = self.cache()
            if before == (cache["disk_writes"], cache["disk_dropped"]) and cache["fills"] == 0:
                return
            before = cache["disk_writes"], cache["disk_dropped"]
            time.sleep(0.05)

    def get(self, path, method="GET"):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request(method, path, headers={"Host": "shop.example"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0

    def asked(self):
        """Requests that reached the origin; this one is one more."""
        connection = http.client.HTTPConnection("127.0.0.1", self.origin, timeout=10)
        connection.request("GET", "/count")
        return int(re.search(rb'"requests": (\d+)', connection.getresponse().read())[1])

    def segments(self):
        return sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(".segment"))


class Readers:
    """Threads that ask for these numbers, and keep what was wrong. `renews`: whether what is stored is still right, which the origin says in a 304."""

    def __init__(self, machine, numbers, threads=4, renews=False):
        self.machine, self.numbers, self.lock = machine, collections.deque(numbers), threading.Lock()
        self.fields = {"Host": "shop.example", **({"Cache-Control": "no-cache"} if renews else {})}
        self.wrong, self.hits, self.whole, self.cut = [], 0, 0, 0
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.wrong, self.wrong[:5]
        return self

    def run(self):
        connection = None
        while True:
            try:
                number = self.numbers.popleft()
            except IndexError:
                return
            body = b""
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.machine.port, timeout=20)
                connection.request("GET", path_of(number), headers=self.fields)
                answer = connection.getresponse()
                body = answer.read()
                self.take(number, answer, body)
            except http.client.IncompleteRead as cut:
                self.lose(number, cut.partial)
                connection = None
            except (OSError, http.client.HTTPException):
                self.lose(number, body)
                connection = None

    def take(self, number, answer, body):
        with self.lock:
            if answer.status == 200 and not is_right(number, body):
                self.wrong.append((number, len(body), answer.headers["Cache-Status"]))
            self.whole += answer.status == 200
            self.hits += "hit" in (answer.headers["Cache-Status"] or "")

    def lose(self, number, body):
        with self.lock:
            self.cut += 1
            if not is_right(number, body, whole=False):
                self.wrong.append((number, len(body), "cut"))


def kill_while_writing(machine, rounds, seed=1):
    """Kills the whole node while it fetches and writes, starts it again, and reads what may be there."""
    chance, found, read, cut = random.Random(seed), 0, 0, 0
    for at in range(rounds):
        numbers = range(at * 100, at * 100 + 400)  # three quarters of them were asked for before
        readers = Readers(machine, numbers, renews=at % 2)
        time.sleep(chance.uniform(0.02, 0.3))
        machine.node.kill()
        cut += readers.join().cut
        machine.start()
        again = Readers(machine, chance.sample(numbers, 60)).join()
        assert again.whole == 60
        found, read = found + again.hits, read + again.whole
    return {"kills": rounds, "answers checked": read, "of them from disk": found, "answers cut off": cut}


def damage(path, chance):
    """One truncation or bit flip."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        if not size or chance.random() < 0.1:
            file.truncate(chance.randrange(size + 1))
            return
        file.seek(chance.randrange(size))
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def damage_and_restart(machine, damages, at_once, objects=150, seed=2):
    """Damages files of a node that is down, starts it, and reads everything."""
    chance, found, read = random.Random(seed), 0, 0
    Readers(machine, range(objects)).join()
    for _ in range(damages // at_once):
        machine.settle()
        machine.node.stop()
        for _ in range(at_once):
            damage(chance.choice(machine.segments() + ([machine.folder + "/salt"] if chance.random() < 0.02 else [])), chance)
        machine.start()
        readers = Readers(machine, range(objects)).join()
        assert readers.whole == objects
        found, read = found + readers.hits, read + readers.whole
        assert Readers(machine, range(0, objects, 2), renews=True).join().whole == objects // 2
    return {"damages": damages, "restarts": damages // at_once, "answers checked": read, "of them from disk": found}
