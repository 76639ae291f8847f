# SPDX-License-Identifier: Apache-2.0
"""An origin on a thread of the test's own that says exactly what a script says: one script for each path."""
import contextlib
import socket
import struct
import threading
import time


class Script:
    """What happens on a connection once a request's head has come: bytes are sent, numbers are seconds to wait, and the words below are done."""
    CLOSE, RESET, HANG = "close", "reset", "hang"


class BadOrigin:
    """`scripts`: path -> pieces (bytes, or a word of Script). `open` are its connections, the first is number 1."""

    def __init__(self, scripts, listener):
        self.scripts, self.listener = scripts, listener
        self.seen = []  # (number of the connection, path)
        self.connections = 0
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    @classmethod
    def tcp(cls, scripts, address, port):
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        return cls(scripts, listener)

    def stop(self):
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection, self.connections), daemon=True).start()

    def serve(self, connection, number):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received = b""
            while True:
                while b"\r\n\r\n" not in received:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    received += piece
                head, received = received.split(b"\r\n\r\n", 1)
                path = head.split(b" ", 2)[1].decode()
                self.seen.append((number, path))
                if not self.play(connection, self.scripts[path]):
                    return

    def play(self, connection, script):
        """False: the connection is over."""
        for piece in script:
            if isinstance(piece, bytes):
                connection.sendall(piece)
            elif isinstance(piece, float):
                time.sleep(piece)
            elif piece == Script.CLOSE:
                connection.shutdown(socket.SHUT_WR)
            elif piece == Script.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return False
            elif piece == Script.HANG:
                while connection.recv(65536):
                    pass
                return False
        return True

    def connection_of(self, path):
        """On which connection the last request for this path came."""
        return next(number for number, seen in reversed(self.seen) if seen == path)
