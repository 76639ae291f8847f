# SPDX-License-Identifier: Apache-2.0
"""An edge with two gateways; equally far, before the same origin."""
import re

from lab.causeway import Causeway
from lab.process import wait_until
from lab.servers import start_nginx
from road import ADMIN, HTTP, LINK, SITE, Road, at, find

ORIGIN = """
        location / { return 200 "0123456789"; }
"""
WAN = {"rate": "0", "queue": "100ms"}


class SecondGateway(Road):
    """A second gateway of the site; who makes it says how the edge gets there: second_link."""

    def __init__(self, lab, program, version, wan):
        super().__init__(lab, program, version, wan)
        self.second = lab.namespace("gw2")
        self.second_key = lab.path("second.key")
        self.second_public = self.edge.run(program, "keygen", "-o", self.second_key).stdout.split()[-1]

    def text(self, top="", **texts):
        return f"{top}\n" + super().text(**texts).replace("sites:\n", f"""  second:
    public_key: "{self.second_public}"
    private_key: {self.second_key}
    run_dir: {self.lab.path("run-second")}
    workers: 1
    link: {{listen: ["{at(self.second_link, LINK)}"]}}
    gateway: {{allow: [{{edges: [edge], sites: [shop]}}]}}
    admin: {{listen: ["127.0.0.1:{ADMIN}"]}}
sites:
""", 1)

    def start(self, **texts):
        self.nodes["second"] = Causeway(self.lab, self.program, self.text(**texts), "second", self.second)
        return super().start(**texts)

    def wait_for_link(self, timeout=20):
        wait_until(lambda: [link["state"] for link in find(self.nodes["edge"].status(), "links")] == ["up", "up"], timeout,
                   "both links are up", every=0.1)

    def counter(self, name):
        text = self.edge.run("curl", "-sS", f"http://127.0.0.1:{ADMIN}/metrics").stdout
        return int(float(re.search(rf"^{name} (\S+)$", text, re.M)[1]))

    def visits(self):
        """(begin in microseconds, status, microseconds) of each, in the order of their ends."""
        with open(self.lab.path("visits"), encoding="ascii") as log:
            return [tuple(int(word) for word in line.split()) for line in log]


def wait_for_both(two):
    wait_until(lambda: all(two.part("requests", name) > 50 for name in ("gateway", "second")), 20, "both are used", every=0.1)


class TwoChannels(SecondGateway):
    """It is as far from the edge as the first. Rules may ask for the load."""

    def __init__(self, lab, program, version, rtt="10ms"):
        super().__init__(lab, program, version, {**WAN, "rtt": rtt})
        self.second_wan = lab.wan(self.edge, self.second, **WAN, rtt=rtt)
        self.second_link = self.second_wan.link.b(version)
        self.second.route("default", lab.connect(self.second, self.origin).b(version))

    def channels(self):
        """By gateway: state, share and whether it tells its load."""
        sites = self.part("channels", "edge")
        return {row["gateway"]: row for row in next((site["channels"] for site in sites if site["name"] == "shop"), [])}

    def start_visitors(self, seconds, rate=500):
        """GETs at a steady rate, on kept connections; what each took is in the log."""
        return self.lab.start("h2load", ["h2load", "--h1", "-c", "20", "--rps", str(rate // 20), "-D", str(seconds), "--log-file",
                                         self.lab.path("visits"), "--connect-to", at(self.edge_at, HTTP), f"http://{SITE}/"],
                              namespace=self.client)


def before_nginx(lab, program, version, **options):
    """Both gateways before an origin that answers at once."""
    road = TwoChannels(lab, program, version, **options)
    start_nginx(lab, road.origin, [(road.origin_at, road.origin_ports[0])], server=ORIGIN)
    return road


def check_all_were_answered(two, visitors):
    """Those of start_visitors(): each has had its answer."""
    visitors.wait(60)
    text = visitors.output()
    print(text)
    total, succeeded = (int(number) for number in re.search(r"requests: (\d+) total.*?(\d+) succeeded", text).groups())
    assert succeeded > 500 and "0 failed, 0 errored, 0 timeout" in text
    visits = two.visits()
    assert len(visits) == succeeded <= total and {status for _, status, _ in visits} == {200}
