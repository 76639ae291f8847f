#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shop's dynamic part, behind nginx: /slow thinks for two seconds, /upload tells what arrived; /search and /cart take a twentieth of a second
of one of its four workers.

    shop_app.py PORT                 on 127.0.0.1; prints "ready"
"""
import hashlib
import http.server
import sys
import threading
import time

from shop_site import page

THINK_S = 2.0
WORKERS, WORK_S = 4, 0.05
workers = threading.Semaphore(WORKERS)


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body, status=200):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def work(self):
        with workers:
            time.sleep(WORK_S)
        self.answer(page("Found", "<h1>Found</h1><p>What you asked for.</p>"))

    def do_GET(self):
        if self.path in ("/search", "/cart"):
            self.work()
            return
        if self.path != "/slow":
            self.answer(page("Not here", "<h1>Not here</h1>"), 404)
            return
        time.sleep(THINK_S)
        self.answer(page("Stock", f"<h1>Stock</h1><p>Counted by hand, which took {THINK_S:g} seconds.</p>"))

    def do_POST(self):
        left, digest = int(self.headers.get("Content-Length", 0)), hashlib.sha256()
        length = left
        while left:
            block = self.rfile.read(min(left, 65536))
            if not block:
                return
            digest.update(block)
            left -= len(block)
        if self.path == "/cart":
            self.work()
            return
        self.answer(page("Thank you", f"<h1>Thank you</h1><p>{length} bytes, sha256 {digest.hexdigest()}</p>"))

    def log_message(self, *_):
        pass  # the access log is nginx's and the edge's matter


def main(port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Shop)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
