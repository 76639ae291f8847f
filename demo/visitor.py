# SPDX-License-Identifier: Apache-2.0
"""A visitor in a region: asks the DNS server with dig, and loads pages as a browser does: the page first, then all that
it needs over up to six kept connections."""
import hashlib
import http.client
import queue
import socket
import threading
import time

from lab.network import run
from shop_site import HOST, page_paths

CONNECTIONS = 6


class Visitor:
    def __init__(self, world, region):
        self.world, self.region = world, region

    def resolve(self, version=4, name=HOST):
        """The addresses in the answer, in its order; empty when there is none."""
        kind = "A" if version == 4 else "AAAA"
        dns = self.world.dns[version]
        result = run(*self.region.visitor.prefix, "dig", "+short", "+tries=1", "+time=2", f"@{dns}", "-p",
                     self.world.dns_port, "-b", self.region.source[version], name, kind, check=False)
        return result.stdout.split() if result.returncode == 0 else []

    def connect(self, address, port, timeout=30):
        version = 6 if ":" in address else 4
        sock = self.region.visitor.open_socket(socket.AF_INET if version == 4 else socket.AF_INET6)
        sock.settimeout(timeout)
        sock.bind((self.region.source[version], 0))
        sock.connect((address, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(HOST, timeout=timeout)
        connection.sock = sock
        return connection

    def get(self, address, port, path, method="GET", body=None, connection=None, cookie=None):
        """(seconds, status, body). A new connection is part of the time."""
        seconds, response, data = self.ask(address, port, path, method, body, connection, cookie)
        return seconds, response.status, data

    def ask(self, address, port, path, method="GET", body=None, connection=None, cookie=None):
        """Likewise, with the whole response."""
        start = time.monotonic()
        own = connection is None
        if own:
            connection = self.connect(address, port)
        try:
            connection.request(method, path, body, {"Host": HOST} | ({"Cookie": cookie} if cookie else {}))
            response = connection.getresponse()
            data = response.read()
        finally:
            if own:
                connection.close()
        return time.monotonic() - start, response, data

    def load_page(self, address, port):
        """(seconds, sha256 of everything) for the first page with all its pictures."""
        start = time.monotonic()
        paths = page_paths()
        first = self.connect(address, port)
        bodies = {paths[0]: self._checked(first, paths[0])}
        waiting = queue.SimpleQueue()
        for path in paths[1:]:
            waiting.put(path)
        failures = []

        def fetch(connection):
            try:
                connection = connection or self.connect(address, port)
                while True:
                    try:
                        path = waiting.get_nowait()
                    except queue.Empty:
                        break
                    bodies[path] = self._checked(connection, path)
                connection.close()
            except OSError as failure:
                failures.append(failure)
            except http.client.HTTPException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=fetch, args=(first if number == 0 else None,)) for number in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        digest = hashlib.sha256(b"".join(bodies[path] for path in paths)).hexdigest()
        return time.monotonic() - start, digest

    def _checked(self, connection, path):
        _, status, data = self.get(None, None, path, connection=connection)
        if status != 200:
            raise http.client.HTTPException(f"{path} was answered with {status}")
        return data


class Crowd:
    """So many visitors of a region at once, each of whom asks for a path again and again until the end. Who is told to come back later does, after the
    time that was named."""

    def __init__(self, visitor, address, port, path, count):
        self.visitor, self.target = visitor, (address, port, path)
        self.is_over = threading.Event()
        self.answered, self.turned_away, self.failures = [], 0, []
        self.threads = [threading.Thread(target=self._come) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def leave(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def _come(self):
        try:
            while not self.is_over.is_set():
                seconds, response, _ = self.visitor.ask(*self.target)
                if response.status == 200:
                    self.answered.append(seconds)
                elif response.status == 503:
                    self.turned_away += 1
                    self.is_over.wait(float(response.headers.get("Retry-After", "1")))
                else:
                    raise http.client.HTTPException(f"answered with {response.status}")
        except (OSError, http.client.HTTPException) as failure:
            self.failures.append(failure)
