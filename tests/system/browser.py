# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium in a namespace, driven through its DevTools protocol (a WebSocket on loopback)."""
import asyncio
import base64
import http.client
import json
import os

from lab.process import wait_until

WORDS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--mute-audio",
         "--remote-debugging-port=0", "--window-size=1200,1000", "--ignore-certificate-errors")


class Browser:
    """One page. Every call is bounded; what the network did since the last visit is in .answers: URL -> its response."""

    def __init__(self, lab, namespace, rules, name="chromium"):
        self.folder = lab.path(name)
        self.namespace, self.answers, self.number = namespace, {}, 0
        self.process = lab.start(name, ["chromium", *WORDS, f"--user-data-dir={self.folder}", f"--host-resolver-rules={rules}", "about:blank"],
                                 namespace, {"HOME": self.folder, "TMPDIR": lab.directory})
        there = os.path.join(self.folder, "DevToolsActivePort")
        self.process.wait_until(lambda: os.path.exists(there) and open(there, encoding="ascii").read().count("\n"), 60, "it listens")
        self.port = int(open(there, encoding="ascii").read().split()[0])
        self.loop = asyncio.new_event_loop()
        self.wire = self.loop.run_until_complete(self._open())
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    async def _open(self):
        import websockets
        target = await self._first_page()
        connection = self.namespace.connect("127.0.0.1", self.port)
        connection.setblocking(False)
        return await websockets.connect(f"ws://127.0.0.1:{self.port}{target}", sock=connection, max_size=None)

    async def _first_page(self):
        def find():
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            connection.sock = self.namespace.connect("127.0.0.1", self.port)
            connection.request("GET", "/json/list")
            pages = [page for page in json.loads(connection.getresponse().read()) if page["type"] == "page"]
            connection.close()
            return "/" + pages[0]["webSocketDebuggerUrl"].split("/", 3)[3] if pages else None
        return wait_until(find, 20, "a page is there")

    def close(self):
        self.loop.run_until_complete(self.wire.close())
        self.loop.close()
        self.process.stop()

    def call(self, method, **parameters):
        """The command's result."""
        return self.loop.run_until_complete(asyncio.wait_for(self._call(method, parameters), 60))

    async def _call(self, method, parameters):
        self.number += 1
        await self.wire.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self.wire.recv())
            if message.get("id") == self.number:
                return message.get("result", {})  # none: the page went away meanwhile
            if message.get("method") == "Network.responseReceived":
                response = message["params"]["response"]
                self.answers[response["url"]] = response
            elif message.get("method") == "Network.loadingFailed":
                self.answers[message["params"]["requestId"]] = {"status": 0, "error": message["params"].get("errorText")}

    def visit(self, url):
        self.url = url
        self._load("Page.navigate", url=url)

    def reload(self, hard=False):
        self._load("Page.reload", ignoreCache=hard)

    def _load(self, method, **parameters):
        """Until another page than this one, at the URL visited last, has had all that it asked for."""
        self.ask("window.isBefore = true")
        self.answers.clear()
        self.call(method, **parameters)
        wait_until(lambda: self.ask(f"!window.isBefore && location == '{self.url}' && performance.getEntriesByType('navigation')[0].loadEventEnd > 0"), 60,
                   "the page is loaded")

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True).get("result", {}).get("value")

    def screenshot(self, path):
        """The whole page as a PNG; returns its bytes."""
        image = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image)
        return image
