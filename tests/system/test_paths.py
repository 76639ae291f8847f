# SPDX-License-Identifier: Apache-2.0
"""Several ways between edge and gateway, and outages: counts and hashes are exact, times have wide bounds."""
import threading

from lab.process import wait_until
from lab.servers import at

from road import LINK, ORIGIN, Road, expected_sha256

SIZE = 24 << 20
WAY = {"rate": "20M", "rtt": "40ms", "queue": "50ms"}


class TwoWays(Road):
    """A second wide-area network beside the first, with addresses of its own at both ends."""

    def __init__(self, lab, program, version, wan=None, second=None, standby=False):
        super().__init__(lab, program, version, wan or WAY)
        self.second_wan = lab.wan(self.edge, self.gateway, **(second or WAY))
        self.second_link = self.second_wan.link.b(version)
        self.second_edge = self.second_wan.link.a(version)
        self.standby = standby

    def text(self, **texts):
        text = super().text(**texts)
        further = "standby" if self.standby else "paths"
        here = f'link: {{listen: ["{at(self.gateway_link, LINK)}"'
        assert here in text
        text = text.replace(f'{here}]}}', f'{here}, "{at(self.second_link, LINK)}"], {further}: ["{at(self.second_link, LINK)}"]}}')
        return text.replace("    addresses: [", f'    link: {{from: ["{self.edge_link}", "{self.second_edge}"]}}\n    addresses: [')

    def paths(self, node="gateway"):
        return {path["id"]: path for path in self.link(node)["paths"]}


def start(lab, program, version, start_origin, **words):
    road = TwoWays(lab, program, version, **words)
    start_origin(road.lab, road.origin, (road.origin_at, ORIGIN))
    return road.start()


def download(road, seed=5, size=SIZE):
    result = []
    thread = threading.Thread(target=lambda: result.append(road.download_sha256(f"/bytes/{size}?seed={seed}")))
    thread.start()
    return thread, result


def test_L2_two_ways_are_used_and_one_may_die(lab, causeway_program, version, start_origin):
    road = start(lab, causeway_program, version, start_origin)
    wait_until(lambda: [path["state"] for path in road.paths().values()] == ["active", "active"], what="both paths work")
    thread, result = download(road)
    wait_until(lambda: all(path["bytes_sent"] > 2 << 20 for path in road.paths().values()), what="both paths carry data")
    road.wan.down()
    wait_until(lambda: road.paths()[0]["state"] == "degraded", what="the dead path is noticed")
    thread.join(90)
    assert result == [(SIZE, expected_sha256(SIZE, 5))], "the other way carries everything"
    assert road.code("/") == 200
    road.wan.up()
    wait_until(lambda: road.paths()[0]["state"] == "active", what="the path is used again")
    assert road.link()["sessions"] == 1 and road.link("gateway")["streams_reset"] == 0


def test_L2_a_standby_way_takes_over(lab, causeway_program, version, start_origin):
    road = start(lab, causeway_program, version, start_origin, standby=True)
    wait_until(lambda: sorted(path["state"] for path in road.paths().values()) == ["active", "standby"], what="both paths work")
    thread, result = download(road)
    wait_until(lambda: road.paths()[0]["bytes_sent"] > 2 << 20, what="the answer is under way")
    assert road.paths()[1]["bytes_sent"] < 100000, "nothing but probes goes by the standby path"
    road.wan.down()
    thread.join(90)
    assert result == [(SIZE, expected_sha256(SIZE, 5))]
    assert road.paths()[1]["bytes_sent"] > SIZE // 4
    assert road.link()["sessions"] == 1


def test_L2_the_first_way_need_not_work_for_the_link_to_come_up(lab, causeway_program, version, start_origin):
    road = TwoWays(lab, causeway_program, version)
    start_origin(road.lab, road.origin, (road.origin_at, ORIGIN))
    road.wan.down()
    road.start()
    assert road.code("/") == 200
    road.wan.up()
    wait_until(lambda: sum(path["state"] == "active" for path in road.paths().values()) == 2, what="the other path is found")


def test_T1_ten_seconds_without_a_network_cost_no_byte(lab, causeway_program, version, start_origin):
    road = Road(lab, causeway_program, version, WAY)
    start_origin(road.lab, road.origin, (road.origin_at, ORIGIN))
    road.start()
    thread, result = download(road, seed=6, size=8 << 20)
    wait_until(lambda: road.link("gateway")["stream_bytes_sent"] > 1 << 20, what="the answer is under way")
    rules = ["add table inet cut"]
    for hook, port in (("input", "dport"), ("output", "sport")):
        rules += [f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}", f"add rule inet cut {hook} meta l4proto {{ tcp, udp }} th {port} {LINK} drop"]
    road.gateway.run("nft", "; ".join(rules))
    try:
        road.nodes["edge"].wait_for_log("out peer=gateway")
        thread.join(10)
        assert thread.is_alive() and road.link()["sessions"] == 1
        assert road.code("/", "--max-time", "20") in (502, 503, 504), "what comes meanwhile is answered"
    finally:
        road.gateway.run("nft", "delete table inet cut")
    thread.join(60)
    assert result == [(8 << 20, expected_sha256(8 << 20, 6))]
    assert road.link()["sessions"] == 1
    assert road.code("/") == 200


def test_T5_packets_are_as_large_as_the_network_takes_them(lab, causeway_program, version, start_origin):
    class Jumbo(Road):
        def text(self, **texts):
            return "link: {packet: 8972}\n" + super().text(**texts)

    road = Jumbo(lab, causeway_program, version, WAY)
    start_origin(lab, road.origin, (road.origin_at, ORIGIN))
    road.start()

    def size(node="gateway"):
        paths = road.link(node)["paths"]  # none in the first second of a link
        return paths[0]["packet_bytes"] if paths else 0

    fitting = 1500 - 8 - (20 if version == 4 else 40)
    wait_until(lambda: size() in (fitting, 1452), what="the size of the network is found")
    assert road.download_sha256(f"/bytes/{4 << 20}?seed=7") == (4 << 20, expected_sha256(4 << 20, 7))
    # The interface shrinks under a download: the next smaller size, and not a byte lost.
    thread, result = download(road, seed=8, size=8 << 20)
    wait_until(lambda: road.link("gateway")["stream_bytes_sent"] > 5 << 20, what="the answer is under way")
    road.gateway.run("ip", "link", "set", "dev", f"{road.wan.name}b", "mtu", "1400")
    thread.join(60)
    assert result == [(8 << 20, expected_sha256(8 << 20, 8))]
    assert 1200 <= size() <= 1400 - 28
