# SPDX-License-Identifier: Apache-2.0
"""A visitor with a steady pace: pace.py ADDRESS PORT HOST PATH BYTES. A GET each 20 ms, on a connection that it opens anew after each
twenty, until SIGTERM; then one line of JSON: how long each answer took, what failed."""
import json
import os
import signal
import socket
import sys
import time

PACE_S = 0.02
ON_A_CONNECTION = 20


def ask(connection, request, length):
    connection.sendall(request)
    data = b""
    while len(data.partition(b"\r\n\r\n")[2]) < length:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError(f"cut off behind {data[:80]!r}")
        data += piece
    if not data.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(repr(data[:80]))


def main():
    address, port, host, path, length = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
    times, failed, state = [], [], {"done": False}
    signal.signal(signal.SIGTERM, lambda *_: state.update(done=True))
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # it is a machine of its own: it waits for the edge, not for the attacker's turn
    except OSError:
        pass  # who may not, or a kernel that gives this group no such time
    print("ready", flush=True)
    while not state["done"]:
        try:
            began = time.monotonic()
            with socket.create_connection((address, port), 20) as connection:
                for _ in range(ON_A_CONNECTION):
                    ask(connection, request, length)
                    times.append(time.monotonic() - began)  # the first with its handshake
                    time.sleep(PACE_S)
                    began = time.monotonic()
                    if state["done"]:
                        break
        except OSError as error:
            failed.append(str(error))
    print(json.dumps({"seconds": sorted(times), "failed": failed}), flush=True)


main()
