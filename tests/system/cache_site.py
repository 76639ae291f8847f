# SPDX-License-Identifier: Apache-2.0
"""A site on one machine for tests of the cache: edge and gateway in one node, an origin that the test programs, curl."""
import getpass
import http.server
import re
import threading
import types

from lab import wait_until
from lab.causeway import Causeway
from road import find

HOST = "www.shop.example"


class Origin:
    """Answers with `answer(request)`: a status, fields and a body. `seen` are the requests, in order."""

    def __init__(self, answer):
        self.answer, self.seen, self.lock = answer, [], threading.Lock()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length", 0))
                request = types.SimpleNamespace(command=self.command, path=self.path, headers=self.headers,
                                                body=self.rfile.read(length))
                with origin.lock:
                    origin.seen.append(request)
                    request.number = len(origin.seen)
                status, fields, body = origin.answer(request)
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                if status not in (204, 304) and "Content-Length" not in fields:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD" and status not in (204, 304):
                    self.wfile.write(body)

            do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # an answer that raises ends its connection
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def paths(self):
        with self.lock:
            return [request.path for request in self.seen]

    def requests(self, path):
        with self.lock:
            return [request for request in self.seen if request.path == path]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class CacheSite:
    """`site`: further lines of the site's section. Stop it in the end."""

    def __init__(self, lab, program, answer, site="", cache="on: true", edge="", store="memory: 64M"):
        self.lab, self.here, self.origin = lab, lab.here(), Origin(answer)
        self.http, self.admin = (self.here.free_port("127.0.0.1") for _ in range(2))
        self.site, self.cache, self.edge, self.store = site, cache, edge, store
        self.node = Causeway(lab, program, self.text())
        wait_until(lambda: self.code("/") == 200, what="the site is served")

    def text(self):
        return f"""
nodes:
  all:
    run_dir: {self.lab.path('run')}
    user: {getpass.getuser()}
    workers: 2
    capacity: {{cpu: 0}}
    edge:
      listen: ["127.0.0.1:{self.http}"]
      cache: {{{self.store}}}
      {self.edge}
    gateway: {{allow_local: true, allow: [{{edges: [all], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{self.admin}"]}}
sites:
  shop:
    hosts: [{HOST}]
    origins: ["http://127.0.0.1:{self.origin.port}"]
    cache: {{{self.cache}}}
{self.site}
"""

    def curl(self, path, *words, check=True):
        return self.here.run("curl", "-sS", "--max-time", "30", "-H", f"Host: {HOST}", *words, f"http://127.0.0.1:{self.http}{path}",
                             check=check).stdout

    def code(self, path, *words):
        return int(self.curl(path, "-o", "/dev/null", "-w", "%{http_code}", *words, check=False) or 0)

    def get(self, path, *words):
        """Status, fields in lower case, body of an answer."""
        head, body = re.split(r"\r?\n\r?\n", self.curl(path, "-i", *words), maxsplit=1)
        lines = head.splitlines()
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split()[1]), {name.lower(): value for name, value in fields.items()}, body

    def counts(self):
        return find(self.node.status(), "cache")

    def stop(self):
        self.origin.stop()
