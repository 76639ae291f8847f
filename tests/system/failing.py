#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Origins that take their time and fail on demand, and visitors who count what they get.

    failing.py origin ADDRESS:PORT           GET /?ms=20 is answered after so long; every path tells how many requests came so far. /set?status=503
                                             makes it answer so from then on (/count and /set excepted), /set?ms=300 adds to each wait.
    failing.py visit ADDRESS:PORT HOST PATH REQUESTS_PER_S CONNECTIONS

The origin prints "ready". Visitors print "ready" when the first answers have come, and at SIGTERM one line of JSON: how many asked, the statuses,
what failed otherwise, which origins answered, and times.
"""
import asyncio
import collections
import json
import signal
import sys
import time
import urllib.parse


def place(text):
    address, _, port = text.rpartition(":")
    return address.strip("[]"), int(port)


# --- the origin


class Origin:
    def __init__(self, name):
        self.name, self.count, self.status, self.extra_ms = name, 0, 200, 0

    async def answer(self, path, query):
        if path == "/set":
            self.status = int(query.get("status", [self.status])[0])
            self.extra_ms = float(query.get("ms", [self.extra_ms])[0])
        elif path != "/count":
            self.count += 1
            await asyncio.sleep((float(query.get("ms", [0])[0]) + self.extra_ms) / 1000)
        status = 200 if path in ("/set", "/count") else self.status
        return status, json.dumps({"origin": self.name, "count": self.count}).encode()

    async def serve(self, reader, writer):
        try:
            while line := await reader.readline():
                length = 0
                while (field := (await reader.readline()).strip().lower()):
                    if field.startswith(b"content-length:"):
                        length = int(field.split(b":")[1])
                await reader.readexactly(length)
                url = urllib.parse.urlsplit(line.split()[1].decode())
                status, body = await self.answer(url.path, urllib.parse.parse_qs(url.query))
                writer.write(f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def run_origin(where):
    server = await asyncio.start_server(Origin(where).serve, *place(where), backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


# --- the visitors


class Visitors:
    def __init__(self, where, host, path, rate, connections):
        self.where, self.host, self.path = where, host, path
        self.every_s = connections / rate
        self.connections = connections
        self.asked = 0
        self.statuses, self.origins, self.failures = collections.Counter(), collections.Counter(), []
        self.ms = []
        self.is_over = False

    async def ask(self, reader, writer):
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        status = int((await reader.readline()).split()[1])
        length = 0
        while (field := (await reader.readline()).strip().lower()):
            if field.startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        return status, await reader.readexactly(length)

    async def visit(self, first):
        connection = None
        await asyncio.sleep(self.every_s * first / self.connections)
        next_s = time.monotonic()
        while not self.is_over:
            self.asked += 1
            began = time.monotonic()
            try:
                connection = connection or await asyncio.open_connection(*self.where)
                status, body = await self.ask(*connection)
                self.statuses[status] += 1
                self.ms.append((time.monotonic() - began) * 1000)
                if status == 200:
                    self.origins[json.loads(body)["origin"]] += 1
            except (OSError, asyncio.IncompleteReadError, IndexError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection = None
            next_s = max(next_s + self.every_s, time.monotonic() - 1)  # no more than a second is made up for
            await asyncio.sleep(max(0, next_s - time.monotonic()))
        if connection:
            connection[1].close()

    async def tell_ready(self):
        while sum(self.statuses.values()) < self.connections and not self.is_over:
            await asyncio.sleep(0.01)
        print("ready", flush=True)

    async def run(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(self, "is_over", True))
        await asyncio.gather(self.tell_ready(), *(self.visit(first) for first in range(self.connections)))
        times = sorted(self.ms) or [0]
        print(json.dumps({"asked": self.asked, "statuses": self.statuses, "failures": len(self.failures), "first_failures": self.failures[:5],
                          "origins": self.origins, "p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100],
                          "slowest_ms": times[-1]}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "origin":
        asyncio.run(run_origin(sys.argv[2]))
    else:
        asyncio.run(Visitors(place(sys.argv[2]), sys.argv[3], sys.argv[4], float(sys.argv[5]), int(sys.argv[6])).run())
