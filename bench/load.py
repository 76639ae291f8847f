# SPDX-License-Identifier: Apache-2.0
"""Clients of the wide-area bench: one long download, a page of many objects over HTTP/1.1 or HTTP/2, small requests beside a download.

They take functions that open connected sockets, so that a subject is only a way to the origin. Bodies are counted and thrown away.
"""
import selectors
import socket
import threading
import time


def request_bytes(path, host):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


class Answer:
    """Takes the bytes of one HTTP/1.1 answer with a Content-Length."""

    def __init__(self):
        self.head, self.left = b"", None

    def take(self, data):
        """Whether the answer is whole."""
        if self.left is None:
            self.head += data
            head, found, body = self.head.partition(b"\r\n\r\n")
            if not found:
                return False
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise RuntimeError(f"not 200: {head[:200]!r}")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self.left = int(lengths[0].split(b":")[1])
            data = body
        self.left -= len(data)
        return self.left <= 0


def fetch(connection, path, host):
    connection.sendall(request_bytes(path, host))
    answer = Answer()
    while True:
        data = connection.recv(65536)
        if not data:
            raise RuntimeError("closed in the middle of an answer")
        if answer.take(data):
            return


class Download(threading.Thread):
    """Reads one endless answer; `bytes` grows until stop()."""

    def __init__(self, connection, path, host):
        super().__init__(daemon=True)
        self.connection, self.bytes, self.is_over = connection, 0, False
        connection.settimeout(None)
        connection.sendall(request_bytes(path, host))
        self.start()

    def run(self):
        buffer = bytearray(1 << 18)
        try:
            while count := self.connection.recv_into(buffer):
                self.bytes += count
        except OSError:
            pass
        self.is_over = True

    def stop(self):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join()
        self.connection.close()


def page(connections, paths, host, seconds=60):
    """Seconds until all objects have come, each connection asking for its next when it has one."""
    waiting = list(reversed(paths))
    started = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            if not waiting:
                break
            connection.setblocking(True)
            connection.sendall(request_bytes(waiting.pop(), host))
            selector.register(connection, selectors.EVENT_READ, Answer())
        while selector.get_map():
            if time.monotonic() - started > seconds:
                raise RuntimeError(f"a page took over {seconds} s")
            for key, _ in selector.select(1):
                data = key.fileobj.recv(65536)
                if not data:
                    raise RuntimeError("closed in the middle of a page")
                if not key.data.take(data):
                    continue
                selector.unregister(key.fileobj)
                if waiting:
                    key.fileobj.sendall(request_bytes(waiting.pop(), host))
                    selector.register(key.fileobj, selectors.EVENT_READ, Answer())
    return time.monotonic() - started


class Http2:
    """One HTTP/2 connection in clear text, prior knowledge."""

    def __init__(self, connection, host):
        import h2.config
        import h2.connection
        self.socket, self.host = connection, host
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.h2.update_settings({4: 1 << 20})  # INITIAL_WINDOW_SIZE
        self.flush()

    def flush(self):
        if data := self.h2.data_to_send():
            self.socket.sendall(data)

    def page(self, paths, seconds=60):
        import h2.events
        started = time.monotonic()
        self.socket.settimeout(seconds)
        for path in paths:
            self.h2.send_headers(self.h2.get_next_available_stream_id(),
                                 [(":method", "GET"), (":scheme", "http"), (":authority", self.host), (":path", path)], end_stream=True)
        self.flush()
        left = len(paths)
        while left:
            data = self.socket.recv(1 << 18)
            if not data:
                raise RuntimeError("closed in the middle of a page")
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    left -= 1
            self.flush()
        return time.monotonic() - started


def requests(connections, path, host, every_s, seconds):
    """Times of requests sent at fixed moments over kept connections, as long as one is free; those not sent count as `seconds`."""
    times, lock = [], threading.Lock()
    free = list(connections)

    def one(connection):
        started = time.monotonic()
        fetch(connection, path, host)
        with lock:
            times.append(time.monotonic() - started)
            free.append(connection)

    threads, begin, missed = [], time.monotonic(), 0
    for number in range(int(seconds / every_s)):
        time.sleep(max(0, begin + number * every_s - time.monotonic()))
        with lock:
            connection = free.pop(0) if free else None
        if connection is None:
            missed += 1
            continue
        threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(30)
    return sorted(times + [float(seconds)] * (missed + sum(thread.is_alive() for thread in threads)))


class PoolServer(threading.Thread):
    """Stands for a database: on each connection, answers a number (8 bytes) with as many bytes."""

    def __init__(self, listener):
        super().__init__(daemon=True)
        self.listener = listener
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        block = bytes(range(256)) * 256
        try:
            with connection:
                while asked := connection.recv(8, socket.MSG_WAITALL):
                    left = int.from_bytes(asked, "big")
                    while left:
                        left -= connection.send(block[:left])
        except OSError:
            pass


def waves(connections, count, part_bytes, every_s):
    """Seconds that each part took from the beginning of its wave; a wave waits for the one before."""
    asked = part_bytes.to_bytes(8, "big")
    times, begin = [], time.monotonic()
    with selectors.DefaultSelector() as selector:
        for wave in range(count):
            due = begin + wave * every_s
            time.sleep(max(0, due - time.monotonic()))
            began = time.monotonic()
            for connection in connections:
                connection.sendall(asked)
                selector.register(connection, selectors.EVENT_READ, [part_bytes])
            while selector.get_map():
                if time.monotonic() - began > 300:
                    raise RuntimeError("a wave took over 300 s")
                for key, _ in selector.select(1):
                    data = key.fileobj.recv(1 << 18)
                    if not data:
                        raise RuntimeError("closed in the middle of a wave")
                    key.data[0] -= len(data)
                    if key.data[0] == 0:
                        times.append(time.monotonic() - began)
                        selector.unregister(key.fileobj)
    return sorted(times)


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))]
