# SPDX-License-Identifier: Apache-2.0
"""The story that the demo tells, step by step, with figures. A step that does not hold raises Broken."""
import hashlib
import os
import statistics
import time

from lab import wait_until
from lab.process import NotReady
from shop_app import WORK_S, WORKERS
from shop_site import DOWNLOAD_BYTES, HOST, page_paths
from visitor import Crowd, Visitor
from world import NEAR_MS, RATE

ROUNDS = 3        # a figure is the median of so many
NOTICED_S = 5.0   # a dead edge must have left the answers
UPLOAD_BYTES = 1_000_000
LOSS_SEED = 7
CROWD = 240
LOOKS = 10        # into the cart


class Broken(AssertionError):
    """What the step promised did not hold."""


def hold(condition, sentence):
    if not condition:
        raise Broken(sentence)


def say(line=""):
    print(line.rstrip(" "), flush=True)


class Story:
    def __init__(self, world):
        self.world = world
        self.visitors = {region.name: Visitor(world, region) for region in world.regions}
        self.step_number = 0

    def tell(self):
        self.show_map()
        self.names()
        self.pages()
        self.download()
        self.upload()
        self.cache()
        self.sale()
        self.edge_dies()

    def title(self, text):
        self.step_number += 1
        say(f"\n{self.step_number}. {text}\n")

    def named(self, addresses):
        """Addresses as the names of their edges, in order."""
        regions = [self.world.region_at(address) for address in addresses]
        return ", ".join(region.name if region else "?" for region in regions)

    # ---- the steps

    def show_map(self):
        world = self.world
        say(f"\n   {'visitors':17}{'edges':13}{'wide-area links':32}far away\n")
        tails = ["", "== gateway --- origin (nginx)", "   +---------- dns (causeway)"]
        for region, tail in zip(world.regions, tails):
            near = f"--{NEAR_MS} ms--" if world.is_emulated else "--------"
            link = f"==== {region.rtt_ms:3d} ms, {region.loss:g} % loss ====+"
            say(f"   {region.name:8}{near} {region.edge_name:13}{link}{tail}")
        say(f"\n   Each link: {RATE[:-1]} {RATE[-1]}bit/s. Round-trip times."
            + ("" if world.is_emulated else " Not root: all on loopback, the links emulated for UDP."))

    def names(self):
        self.title(f"What {HOST} is, depending on who asks")
        say(f"   {'visitor in':12}{'asks from':16}{'answer':34}edges")
        for region in self.world.regions:
            visitor = self.visitors[region.name]
            for version in self.world.versions:
                # links and reports need a moment after the start
                answer = self.until(lambda v=visitor, r=region, n=version: (a := v.resolve(n)) and a[0] == r.edge[n] and len(a) >= 2 and a,
                                    20, f"{region.name}'s visitor gets its own edge first, and a second one, over IPv{version}")
                say(f"   {region.name if version == 4 else '':12}{region.source[version]:16}{' '.join(answer):34}{self.named(answer)}")

    def until(self, condition, timeout, what):
        try:
            return wait_until(condition, timeout, what, every=0.1)
        except NotReady as late:
            raise Broken(str(late)) from None

    def pages(self):
        world = self.world
        self.title(f"The shop's first page: {len(page_paths())} files, median of {ROUNDS} visits, in ms")
        say(f"   {'visitor in':12}{'through its edge':>18}" + (f"{'direct to origin':>18}{'':6}" if world.is_emulated else ""))
        for region in world.regions:
            visitor, sums = self.visitors[region.name], set()
            through = self.median_page(visitor, region.edge[4], world.http_port, sums)
            line = f"   {region.name:12}{through:18.0f}"
            if world.is_emulated:
                direct = self.median_page(visitor, world.origin[4], world.origin_port(), sums)
                line += f"{direct:18.0f}   x {direct / through:.1f}"
            say(line)
            hold(len(sums) == 1, "the page through the edge is byte for byte the origin's")
            for version in world.versions[1:]:
                self.median_page(visitor, region.edge[version], world.http_port, sums)
                hold(len(sums) == 1, "the page over IPv6 is the same")
        if world.is_emulated:
            say("\n   The same bytes each way, over IPv4 and IPv6. Direct: plain TCP (cubic) over the same links.")
        else:
            say("\n   Not shown: direct to the origin. Loopback TCP cannot be slowed down without root.")

    @staticmethod
    def median_page(visitor, address, port, sums):
        times = []
        for _ in range(ROUNDS):
            seconds, digest = visitor.load_page(address, port)
            times.append(seconds * 1000)
            sums.add(digest)
        return statistics.median(times)

    def download(self):
        world, region = self.world, self.world.region("america")
        self.title(f"A download of {DOWNLOAD_BYTES / 1e6:g} MB from {region.name}, {region.rtt_ms} ms, now with 1 % loss")
        say(f"   {'':24}{'seconds':>9}{'Mbit/s':>9}")
        sums = set()
        region.wan.set(loss=1)
        self.show_download("through the link", region, region.edge[4], world.http_port, sums)
        for name in ("cubic", "bbr") if world.is_emulated else ():
            if world.congestion_control(name):
                self.show_download(f"plain TCP, {name}", region, world.origin[4], world.origin_port(), sums)
            else:
                say(f"   {f'plain TCP, {name}':24}  this kernel has it not")
        region.wan.set(loss=region.loss)
        if world.is_emulated:
            world.congestion_control("cubic")
            say("\n   One run each, and chance is chance; bench/transport has the medians.")
        else:
            say("\n   Not shown: plain TCP beside it. Loopback TCP cannot lose packets without root.")
        hold(len(sums) == 1, "each download has the same bytes")

    def show_download(self, label, region, address, port, sums):
        region.wan.set(seed=LOSS_SEED)  # everybody meets the same draws
        seconds, status, data = self.visitors[region.name].get(address, port, "/catalogue.bin")
        hold(status == 200 and len(data) == DOWNLOAD_BYTES, f"{label}: status {status}, {len(data)} bytes")
        sums.add(hashlib.sha256(data).hexdigest())
        say(f"   {label:24}{seconds:9.1f}{len(data) * 8 / seconds / 1e6:9.1f}")

    def upload(self):
        world, region = self.world, self.world.region("asia")
        visitor = self.visitors[region.name]
        self.title("A picture is sent, and a slow page keeps nobody waiting")
        picture = os.urandom(UPLOAD_BYTES)
        seconds, status, answer = visitor.get(region.edge[4], world.http_port, "/upload", "POST", picture)
        hold(status == 200 and hashlib.sha256(picture).hexdigest().encode() in answer,
             f"the upload's checksum came back (status {status})")
        say(f"   {f'upload of {UPLOAD_BYTES / 1e6:g} MB from {region.name}':36}{seconds:6.2f} s   checksum as sent")
        slow = visitor.connect(region.edge[4], world.http_port)
        start = time.monotonic()
        slow.request("GET", "/slow", headers={"Host": HOST})
        meanwhile, _ = visitor.load_page(region.edge[4], world.http_port)
        response = slow.getresponse()
        response.read()
        slow.close()
        total = time.monotonic() - start
        hold(response.status == 200 and total >= 2, f"the slow page arrives after its two seconds (status {response.status})")
        say(f"   {'slow page, two seconds of thought':36}{total:6.2f} s")
        say(f"   {'first page, asked for meanwhile':36}{meanwhile:6.2f} s")
        hold(meanwhile < 2, "the first page overtakes the slow one")

    def cache(self):
        world = self.world
        self.title("The owner turns the cache on, by a reload: the first page again, in ms")
        world.is_cached = True
        world.change()
        say(f"   {'visitor in':12}{'once':>10}{'from then on':>18}")
        for region in world.regions:
            visitor, sums = self.visitors[region.name], set()
            seconds, digest = visitor.load_page(region.edge[4], world.http_port)
            sums.add(digest)
            later = self.median_page(visitor, region.edge[4], world.http_port, sums)
            hold(len(sums) == 1, "the page from the edge's memory is byte for byte the origin's")
            say(f"   {region.name:12}{seconds * 1000:10.0f}{later:18.0f}")

    def sale(self):
        world, region = self.world, self.world.region("europe")
        visitor, edge = self.visitors[region.name], (region.edge[4], world.http_port)
        self.title(f"A sale: {CROWD} visitors search, and the shop answers {WORKERS / WORK_S:.0f} searches a second")
        world.has_sale = True
        world.change()
        alone = self.median_cart(visitor, edge, None)
        crowd = Crowd(visitor, *edge, "/search", CROWD)
        time.sleep(1)
        stranger = self.median_cart(visitor, edge, None)
        cookie = self.until(lambda: self.put_into_cart(visitor, edge), 20, "the edge marks the session of who puts something into the cart")
        customer = self.median_cart(visitor, edge, cookie)
        crowd.leave()
        hold(not crowd.failures, f"nobody of the crowd met an error: {crowd.failures[:3]}")
        hold(crowd.answered, "the crowd was answered")
        say(f"   {'':44}{'median':>8}{'slowest':>9}")
        for who, (median, slowest) in (("the cart, before the crowd comes", alone), ("beside it", stranger),
                                       ("beside it, with something in the cart", customer)):
            say(f"   {who:44}{median:6.2f} s{slowest:7.2f} s")
        say(f"   {'the crowd itself':44}{statistics.median(crowd.answered):6.2f} s{max(crowd.answered):7.2f} s")
        say(f"\n   {len(crowd.answered)} searches were answered, {crowd.turned_away} visitors told when to come back. The gateway keeps "
            f"{2 * WORKERS} requests at the shop\n   and the others in a queue; who is about to buy goes first.")

    @staticmethod
    def put_into_cart(visitor, edge):
        """The cookie that came for it; false where one of the crowd is told to come back later."""
        _, response, _ = visitor.ask(*edge, "/cart", "POST", b"mug")
        return response.status == 200 and response.headers.get("Set-Cookie", "").partition(";")[0]

    @staticmethod
    def median_cart(visitor, edge, cookie):
        """(median, slowest) of some looks into the cart, in seconds."""
        times = []
        for _ in range(LOOKS):
            seconds, status, _ = visitor.get(*edge, "/cart", cookie=cookie)
            if not cookie and status == 503:
                continue  # one of the crowd, as far as anybody knows
            hold(status == 200, f"the cart is there (status {status})")
            times.append(seconds)
        hold(times, "the cart was seen at least once")
        return statistics.median(times), max(times)

    def edge_dies(self):
        world, region = self.world, self.world.region("europe")
        visitor = self.visitors[region.name]
        self.title(f"{region.edge_name} is killed")
        say(f"   {0:6.2f} s   {self.named(visitor.resolve())}   (before)")
        region.node.kill()
        start = time.monotonic()
        answer = self.until(lambda: (a := visitor.resolve()) and region.edge[4] not in a and a, NOTICED_S,
                            f"the answer no longer names {region.edge_name}")
        say(f"   {time.monotonic() - start:6.2f} s   {self.named(answer)}   (it has left the answers)")
        seconds, _ = visitor.load_page(answer[0], world.http_port)
        say(f"   {time.monotonic() - start:6.2f} s   the first page through {self.named(answer[:1])}, in {seconds * 1000:.0f} ms")
        world.start_edge(region)
        back = time.monotonic()
        answer = self.until(lambda: (a := visitor.resolve()) and a[0] == region.edge[4] and a, 20,
                            f"{region.edge_name} is back in the answers")
        say(f"\n   Started again: first in the answers after {time.monotonic() - back:.2f} s ({self.named(answer)})")
        # the edge is alive before its link is up; its first page may still have to wait for that
        self.until(lambda: self.page_works(visitor, region), 20, f"{region.edge_name} serves again")

    def page_works(self, visitor, region):
        try:
            visitor.load_page(region.edge[4], self.world.http_port)
            return True
        except Exception:  # pylint: disable=broad-except  (whatever it was, it is tried again until the deadline)
            return False

    # ---- afterwards

    def how_to_try(self):
        world = self.world
        say("\nIt stays up. From another terminal:\n")
        for region in world.regions:
            enter = " ".join(region.visitor.prefix)
            source = "" if region.visitor.name else f" --interface {region.source[4]}"
            say(f"   {enter + ' ' if enter else ''}curl{source} --resolve {HOST}:{world.http_port}:{region.edge[4]} "
                f"http://{HOST}{'' if world.http_port == 80 else f':{world.http_port}'}/")
        region = world.regions[0]
        enter = " ".join([*region.visitor.prefix, ""])
        port = "" if world.https_port == 443 else f":{world.https_port}"
        say(f"   {enter}chromium --no-sandbox --ignore-certificate-errors --user-data-dir=/tmp/shop "
            f"--host-resolver-rules='MAP {HOST} {region.edge[4]}' https://{HOST}{port}/")
        say(f"   {enter}dig @{world.dns[4]} -p {world.dns_port} -b {region.source[4]} {HOST}")
        say(f"   {enter}{world.causeway} status -c {region.node.file} --node {region.edge_name}")
        say(f"   {world.wan_command(region, 'set loss=5')}")
        say("\nCtrl-C ends it and leaves nothing behind.")
