#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Visitors at a steady rate who count what fails: load.py h1|h2 ADDRESS:PORT HOST REQUESTS_PER_S CONNECTIONS

They behave as browsers do. HTTP/1.1: connections are kept; one in ten requests has a connection of its own. HTTP/2 (over TLS): many streams at a
time; after GOAWAY nothing new is begun on a connection. Only what a browser repeats without asking is repeated, and counted: a request on a
kept connection that ended before a byte of the answer (RFC 9112 section 9.3.1), a stream beyond GOAWAY's last one or refused (RFC 9113 section
8.7). Everything else that is not the whole right answer is a failure. One in twenty requests is a POST, which nothing may repeat.

Prints "ready", and at SIGTERM one line of JSON.
"""
import asyncio
import json
import signal
import ssl
import sys
import time

import h2.config
import h2.connection
import h2.events

UPLOAD = b"u" * 20000
LARGE = 200000  # bytes of /large
PAGE = b"0123456789"
GOAWAY, REFUSED_STREAM = 7, 7


class Count:
    def __init__(self):
        self.asked = self.served = self.connections = self.repeated = self.goaways = self.late = 0
        self.failures, self.slowest, self.milliseconds = [], 0.0, []

    def fail(self, *what):
        self.failures.append(" ".join(str(word) for word in what))

    def serve(self, began):
        took = time.monotonic() - began
        self.served += 1
        self.slowest = max(self.slowest, took)
        self.milliseconds.append(took * 1000)

    def text(self):
        times = sorted(self.milliseconds) or [0]
        return json.dumps({"asked": self.asked, "served": self.served, "connections": self.connections, "repeated": self.repeated,
                           "goaways": self.goaways, "failures": len(self.failures), "first_failures": self.failures[:10],
                           "p50_ms": round(times[len(times) // 2], 1), "p99_ms": round(times[len(times) * 99 // 100], 1),
                           "slowest_ms": round(self.slowest * 1000)})


def request_of(number):
    """Method, path, body, and what the answer's body must be."""
    if number % 20 == 7:
        return "POST", f"/post?{number}", UPLOAD, PAGE
    if number % 50 == 11:
        return "GET", "/large", b"", LARGE
    return "GET", "/kept" if number % 3 == 0 else f"/page?{number}", b"", PAGE


def is_right(status, body, expected):
    return status == 200 and (len(body) == expected if isinstance(expected, int) else body == expected)


class Broken(Exception):
    """The connection ended; `touched`: some of the answer had come."""

    def __init__(self, text, touched):
        super().__init__(text)
        self.touched = touched


# --- HTTP/1.1


class Kept:
    def __init__(self, address, host):
        self.address, self.host, self.used = address, host, 0

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        return self

    async def ask(self, method, path, body, extra=""):
        """(status, body, whether the connection goes on)"""
        touched = False
        try:
            length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
            self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{length}{extra}\r\n".encode() + body)
            self.used += 1
            line = await self.reader.readline()
            touched = bool(line)
            if not line:
                raise Broken("the connection ended before the answer", False)
            fields = {}
            while (field := (await self.reader.readline()).strip()):
                name, _, value = field.decode().partition(":")
                fields[name.lower()] = value.strip()
            content = await self.reader.readexactly(int(fields["content-length"]))
            return int(line.split()[1]), content, fields.get("connection", "").lower() != "close"
        except (OSError, asyncio.IncompleteReadError, KeyError, ValueError, IndexError) as error:
            raise Broken(f"{type(error).__name__}: {error}", touched) from error

    def close(self):
        self.writer.close()


async def live_h1(load, first):
    count, connection, number = load.count, None, first
    async for _ in load.beats():
        number += load.clients
        method, path, body, expected = request_of(number)
        alone = number // load.clients % 10 == 3
        began = time.monotonic()
        count.asked += 1
        for attempt in range(3):
            asked = None
            try:
                if alone or connection is None:
                    asked = await Kept(load.address, load.host).open()
                    count.connections += 1
                    if not alone:
                        connection = asked
                else:
                    asked = connection
                status, content, goes_on = await asked.ask(method, path, body, "Connection: close\r\n" if alone else "")
                if is_right(status, content, expected):
                    count.serve(began)
                else:
                    count.fail(method, path, "status", status, "bytes", len(content))
                if alone or not goes_on:
                    asked.close()
                    connection = connection if alone else None
                break
            except Broken as error:
                asked.close()
                connection = connection if alone else None
                if not error.touched and asked.used > 1 and method == "GET" and attempt < 2:
                    count.repeated += 1
                    continue
                count.fail(method, path, error, "on a", "kept" if asked.used > 1 else "fresh", "connection")
                break
            except OSError as error:
                count.fail(method, path, "no connection:", type(error).__name__, error)
                break
    if connection:
        connection.close()


# --- HTTP/2


class Session(asyncio.Protocol):
    """A connection; ask() is a stream of it."""

    def __init__(self, load):
        self.load, self.streams, self.is_leaving = load, {}, False
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.room, self.held = asyncio.Event(), b""

    def connection_made(self, transport):
        self.transport = transport
        self.state.initiate_connection()
        self.state.increment_flow_control_window(1 << 24)
        self.flush()

    def flush(self):
        data = self.state.data_to_send()
        if data:
            self.transport.write(data)

    def finish(self, stream, what):
        entry = self.streams.pop(stream, None)
        if entry and not entry["done"].done():
            entry["done"].set_result(what)
        if self.is_leaving and not self.streams:
            self.transport.close()

    def leave(self, last):
        self.load.count.goaways += 1
        self.is_leaving = True
        for stream in [stream for stream in self.streams if stream > last]:
            self.finish(stream, "unseen")
        if not self.streams:
            self.transport.close()

    def data_received(self, data):
        """Frames one by one: to the library a connection is over with GOAWAY, to a browser it is not."""
        self.held += data
        while len(self.held) >= 9 and len(self.held) >= 9 + int.from_bytes(self.held[:3], "big"):
            length = 9 + int.from_bytes(self.held[:3], "big")
            frame, self.held = self.held[:length], self.held[length:]
            if frame[3] == GOAWAY:
                self.leave(int.from_bytes(frame[9:13], "big") & 0x7fffffff)
            else:
                self.take(frame)
        self.flush()

    def take(self, frame):
        for event in self.state.receive_data(frame):
            entry = self.streams.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.WindowUpdated):
                self.room.set()
            elif entry and isinstance(event, h2.events.ResponseReceived):
                entry["status"] = int(dict(event.headers)[":status"])
            elif entry and isinstance(event, h2.events.DataReceived):
                entry["body"] += event.data
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif entry and isinstance(event, h2.events.StreamEnded):
                self.finish(event.stream_id, "whole")
            elif entry and isinstance(event, h2.events.StreamReset):
                self.finish(event.stream_id, "unseen" if event.error_code == REFUSED_STREAM else f"reset {event.error_code}")

    def connection_lost(self, error):
        self.is_leaving = True
        for stream in list(self.streams):
            self.finish(stream, f"the connection ended {error or ''}")

    async def ask(self, method, path, body):
        """(what became of it, status, body)"""
        stream = self.state.get_next_available_stream_id()
        entry = self.streams[stream] = {"done": asyncio.get_running_loop().create_future(), "status": 0, "body": b""}
        fields = [(":method", method), (":scheme", "https"), (":path", path), (":authority", self.load.host)]
        if body:
            fields.append(("content-length", str(len(body))))
        self.state.send_headers(stream, fields, end_stream=not body)
        at = 0
        while at < len(body) and stream in self.streams and not self.transport.is_closing():
            piece = min(len(body) - at, self.state.local_flow_control_window(stream), 16384)
            if piece <= 0:
                self.room.clear()
                self.flush()
                await self.room.wait()
                continue
            self.state.send_data(stream, body[at:at + piece], end_stream=at + piece == len(body))
            at += piece
        self.flush()
        return await entry["done"], entry["status"], entry["body"]


async def live_h2(load, first):
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    trust.set_alpn_protocols(["h2"])
    count, session, number, tasks = load.count, None, first, set()

    async def connect():
        nonlocal session
        if session is None or session.is_leaving or session.transport.is_closing():
            _, session = await asyncio.get_running_loop().create_connection(lambda: Session(load), *load.address, ssl=trust,
                                                                           server_hostname=load.host)
            count.connections += 1
        return session

    async def visit(number):
        method, path, body, expected = request_of(number)
        began = time.monotonic()
        count.asked += 1
        for attempt in range(3):
            try:
                async with lock:
                    taken = await connect()
                what, status, content = await taken.ask(method, path, body)
            except (OSError, h2.exceptions.ProtocolError) as error:
                count.fail(method, path, type(error).__name__, error)
                return
            if what == "unseen" and attempt < 2:
                count.repeated += 1
                continue
            if what == "whole" and is_right(status, content, expected):
                count.serve(began)
            else:
                count.fail(method, path, what, "status", status, "bytes", len(content))
            return

    lock = asyncio.Lock()
    async for _ in load.beats():
        number += load.clients
        task = asyncio.ensure_future(visit(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks, timeout=30)


class Load:
    def __init__(self, kind, where, host, rate, clients):
        address, _, port = where.rpartition(":")
        self.live = {"h1": live_h1, "h2": live_h2}[kind]
        self.address, self.host, self.clients, self.every = (address.strip("[]"), int(port)), host, clients, clients / rate
        self.count, self.is_over = Count(), False

    async def beats(self):
        """One after the other at the rate; what is late is not made up for by haste beyond a second's worth."""
        due = time.monotonic()
        while not self.is_over:
            yield
            due = max(due + self.every, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))

    def end(self):
        self.is_over = True

    async def run(self):
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.end)
        lives = [asyncio.ensure_future(self.live(self, i)) for i in range(self.clients)]
        print("ready", flush=True)
        await asyncio.gather(*lives)
        print(self.count.text(), flush=True)


if __name__ == "__main__":
    asyncio.run(Load(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])).run())
