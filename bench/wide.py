# SPDX-License-Identifier: Apache-2.0
"""The wide-area part of bench/transport: near (clients, edge) and far (gateway, origin) with an emulated network between them, and the
subjects, each a way to the same nginx: through edge, link and gateway; straight by the kernel's TCP; through other people's tunnels.
"""
import os
import pathlib
import re
import statistics
import subprocess
import time

from lab import Lab
from lab.causeway import Causeway, Keys
from lab.process import NotReady
from lab.servers import start_nginx
from load import Download, Http2, PoolServer, fetch, page, percentile, requests, waves
from side import BUILD, CAUSEWAY, cpu_s_by_session, is_installed, wait_for

LINK_PORT, ORIGIN_PORT, H2_PORT, POOL_PORT, TUNNEL_PORT = 4500, 8080, 8081, 8082, 4600
HOST = "www.bench.example"
OBJECTS, OBJECT_BYTES = 100, 10000
FILE_BYTES = 400 << 20
CLEAN = {"loss": "0", "burst": "0,1"}
PROFILES = {
    "clean": {"rate": "100M", "rtt": "20ms", "queue": "20ms"},
    "loss0.1": {"rate": "100M", "rtt": "100ms", "queue": "50ms", "loss": "0.1"},
    "loss1": {"rate": "100M", "rtt": "100ms", "queue": "50ms", "loss": "1"},
    "loss5": {"rate": "100M", "rtt": "100ms", "queue": "50ms", "loss": "5"},
    "burst2": {"rate": "20M", "rtt": "200ms", "queue": "100ms", "burst": "2,8"},
    "bloat": {"rate": "10M", "rtt": "50ms", "queue": "200ms"},
    "200m": {"rate": "200M", "rtt": "50ms", "queue": "50ms", "loss": "0.1"},
    "400m": {"rate": "400M", "rtt": "50ms", "queue": "50ms", "loss": "0.1"},
}
MEASURES = ("bulk", "page", "page_cold", "beside", "waves")
WAVES, WAVE_BYTES, WAVE_CONNECTIONS, WAVE_EVERY_S = 10, 20_000_000, 32, 1.0


class World:
    def __init__(self, lab):
        self.lab, self.near, self.far = lab, lab.namespace("near"), lab.namespace("far")
        self.wan = lab.wan(self.near, self.far, **PROFILES["clean"])
        for namespace in (self.near, self.far):
            # nobody knows the path from a connection before
            namespace.sysctl(ipv4__tcp_no_metrics_save=1)
        self.near_at, self.far_at = self.wan.link.a4, self.wan.link.b4
        self.device = self.far.ip("-o", "route", "get", self.near_at).stdout.split()
        self.device = self.device[self.device.index("dev") + 1]
        root = pathlib.Path(lab.path("www"))
        root.mkdir(parents=True)
        with open(root / "file", "wb") as file:
            for _ in range(FILE_BYTES >> 20):
                file.write(os.urandom(1 << 20))
        (root / "small").write_bytes(b"ready")
        for i in range(OBJECTS):
            (root / f"object{i}").write_bytes(os.urandom(OBJECT_BYTES))
        for path in root.iterdir():
            path.chmod(0o644)
        start_nginx(lab, self.far, [("0.0.0.0", ORIGIN_PORT)], root)
        start_nginx(lab, self.far, [("0.0.0.0", H2_PORT)], root, name="nginx-h2", listen_words="http2",
                    server="http2_max_concurrent_streams 256;")

        listener = self.far.open_socket()
        listener.bind(("0.0.0.0", POOL_PORT))
        listener.listen(256)
        PoolServer(listener)

    def set_profile(self, name):
        self.wan.set(**{**CLEAN, **PROFILES[name]})

    def ping(self, count, every_s):
        """Round trips in ms through the same queue as everything else, as they come."""
        text = self.near.run("ping", "-n", "-i", every_s, "-c", count, "-W", "1", self.far_at, check=False, timeout=count * every_s + 20).stdout
        return sorted(float(value) for value in re.findall(r"time=([0-9.]+)", text))

    def idle_ms(self):
        """The round trip through empty queues. What was sent before may still be on its way, and lose all of them."""
        for _ in range(5):
            if times := self.ping(10, 0.05):
                return times[0]
        raise RuntimeError("the emulated network answers no ping")


class Subject:
    """A way to the origin. start() is a fresh beginning; nothing is remembered of the path."""
    page_connections = 6
    is_http2 = False

    def __init__(self, world, name):
        self.world, self.name, self.nodes = world, name, []

    def start(self):
        self.stop()

    def stop(self):
        for node in reversed(self.nodes):
            node.stop()
        self.nodes = []

    def cpu_s(self):
        return sum(cpu_s_by_session([node.pid for node in self.nodes])) if self.nodes else None


class Tcp(Subject):
    """Straight to the origin over the emulated network."""
    port = ORIGIN_PORT

    def start(self):
        super().start()
        network = self.world.near_at.rpartition(".")[0] + ".0/24"
        self.world.far.ip("route", "replace", network, "dev", self.world.device, "congctl", self.name.rpartition("_")[2])

    def open(self):
        return self.world.near.connect(self.world.far_at, self.port)

    def open_pooled(self):
        """To the server of long-lived connections that is no HTTP."""
        return self.world.near.connect(self.world.far_at, POOL_PORT)


class TcpHttp2(Tcp):
    port, is_http2 = H2_PORT, True


class Kcptun(Subject):
    """kcptun with its fast profile, no error correction, AES; windows for this path."""

    def start(self):
        super().start()
        lab, near, far = self.world.lab, self.world.near, self.world.far
        words = ["--key", "bench", "--crypt", "aes-128", "--mode", "fast2", "--nocomp", "--datashard", "0", "--parityshard", "0",
                 "--sndwnd", "2048", "--rcvwnd", "2048", "--smuxver", "2", "--smuxbuf", "16777216", "--streambuf", "8388608", "--quiet"]
        self.nodes = [lab.start("kcptun-server", ["kcptun-server", "-l", f"{self.world.far_at}:{TUNNEL_PORT}", "-t",
                                                  f"127.0.0.1:{ORIGIN_PORT}", *words], far),
                      lab.start("kcptun-client", ["kcptun-client", "-l", f"127.0.0.1:{TUNNEL_PORT}", "-r",
                                                  f"{self.world.far_at}:{TUNNEL_PORT}", *words], near)]
        wait_for(lambda: near.accepts("127.0.0.1", TUNNEL_PORT), "kcptun listens")

    def open(self):
        return self.world.near.connect("127.0.0.1", TUNNEL_PORT)


class OpenVpn(Subject):
    """TCP (cubic) inside OpenVPN over UDP, AES-128-CBC, a static key."""

    def start(self):
        super().start()
        lab, near, far = self.world.lab, self.world.near, self.world.far
        key = lab.path("openvpn.key")
        if not os.path.exists(key):
            subprocess.run(["openvpn", "--genkey", "secret", key], check=True, capture_output=True)
        for name, here, there, inside, other in (("server", far, self.world.near_at, "10.99.0.2", "10.99.0.1"),
                                                 ("client", near, self.world.far_at, "10.99.0.1", "10.99.0.2")):
            self.nodes.append(lab.start(f"openvpn-{name}", [
                "openvpn", "--dev", "tun-bench", "--dev-type", "tun", "--proto", "udp", "--remote", there, str(TUNNEL_PORT + 1),
                "--port", str(TUNNEL_PORT + 1), "--ifconfig", inside, other, "--secret", key, "--cipher", "AES-128-CBC",
                "--sndbuf", "4194304", "--rcvbuf", "4194304", "--txqueuelen", "1000"], here))
        wait_for(lambda: near.accepts("10.99.0.2", ORIGIN_PORT), "OpenVPN's tunnel is up", 30)
        far.ip("route", "replace", "10.99.0.1", "dev", "tun-bench", "congctl", "cubic")

    def open(self):
        return self.world.near.connect("10.99.0.2", ORIGIN_PORT)

    def open_pooled(self):
        return self.world.near.connect("10.99.0.2", POOL_PORT)


class Link(Subject):
    """Edge, link and gateway; a browser's connections end at the edge, next door."""
    page_connections = OBJECTS

    def __init__(self, world, name):
        super().__init__(world, name)
        self.keys = Keys(world.lab, CAUSEWAY, "edge", "gateway")

    def start(self):
        super().start()
        world, keys = self.world, self.keys
        text = f"""
nodes:
  edge:
    public_key: "{keys.public["edge"]}"
    private_key: {keys.path("edge")}
    run_dir: {world.lab.path("run-edge")}
    workers: 1
    user: root
    addresses: ["{world.near_at}"]
    edge: {{listen: ["127.0.0.1:80"], ports: [{{listen: "127.0.0.1:{POOL_PORT}", site: bench}}]}}
    admin: off
  gateway:
    public_key: "{keys.public["gateway"]}"
    private_key: {keys.path("gateway")}
    run_dir: {world.lab.path("run-gateway")}
    workers: 1
    user: root
    link: {{listen: ["{world.far_at}:{LINK_PORT}"]}}
    gateway: {{allow_local: true, allow: [{{edges: [edge], sites: [bench], ports: [{POOL_PORT}]}}]}}
    admin: off
sites:
  bench: {{hosts: [{HOST}], origins: ["http://127.0.0.1:{ORIGIN_PORT}"]}}
"""
        self.nodes = [Causeway(world.lab, CAUSEWAY, text, name, namespace) for name, namespace in (("gateway", world.far), ("edge", world.near))]
        wait_for(self.is_up, "the edge answers")

    def is_up(self):
        try:
            with self.open() as connection:
                fetch(connection, "/small", HOST)
            return True
        except (OSError, RuntimeError):
            return False

    def open(self):
        return self.world.near.connect("127.0.0.1", 80)

    def open_pooled(self):
        return self.world.near.connect("127.0.0.1", POOL_PORT)


def subjects_of(world):
    available = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii").split()
    found = [Link(world, "causeway")]
    for name in ("cubic", "bbr"):
        if name in available:
            found += [Tcp(world, f"tcp_{name}"), TcpHttp2(world, f"h2_{name}")]
    if is_installed("kcptun-client", "(tools/install-deps --bench)"):
        found.append(Kcptun(world, "kcptun"))
    if is_installed("openvpn", "(tools/install-deps --bench)"):
        found.append(OpenVpn(world, "openvpn"))
    return found


# ---- what is measured


def measure_page(subject, is_cold):
    paths = [f"/object{i}" for i in range(OBJECTS)]
    began = time.monotonic()
    if subject.is_http2:
        with subject.open() as connection:
            client = Http2(connection, HOST)
            if not is_cold:
                client.page(["/small"])
                time.sleep(1)
                began = time.monotonic()
            client.page(paths)
            return {"seconds": time.monotonic() - began}
    connections = [subject.open() for _ in range(subject.page_connections)]
    try:
        if not is_cold:
            page(connections, ["/small"] * len(connections), HOST)
            time.sleep(1)
            began = time.monotonic()
        page(connections, paths, HOST)
        return {"seconds": time.monotonic() - began}
    finally:
        for connection in connections:
            connection.close()


def measure_bulk(subject, skip_s, seconds, idle_ms):
    """A download that has found its rate: counted from `skip_s` on, with pings through the same queue."""
    download = Download(subject.open(), "/file", HOST)
    time.sleep(skip_s)
    bytes_before, cpu_before, began = download.bytes, subject.cpu_s(), time.monotonic()
    pings = subject.world.ping(int(seconds / 0.1), 0.1)
    got, took, cpu_after = download.bytes - bytes_before, time.monotonic() - began, subject.cpu_s()
    is_over = download.is_over
    download.stop()
    if is_over and bytes_before + got < FILE_BYTES:
        raise RuntimeError(f"{subject.name}: the download broke off")
    return {"goodput_mbps": got * 8e-6 / took,
            "queue_ms": statistics.median(pings) - idle_ms if pings else None,
            "cpu_s_per_gb": (cpu_after - cpu_before) / got * 1e9 if cpu_before is not None and got else None}


def measure_beside(subject, skip_s, seconds):
    """Requests of 10 KB beside a download: over the same link, over connections of their own."""
    connections = [subject.open() for _ in range(20)]
    page(connections, ["/small"] * len(connections), HOST)
    download = Download(subject.open(), "/file", HOST)
    try:
        time.sleep(skip_s)
        times = requests(connections, "/object0", HOST, 0.05, seconds)
    finally:
        download.stop()
        for connection in connections:
            connection.close()
    return {"p50_ms": percentile(times, 0.5) * 1000, "p99_ms": percentile(times, 0.99) * 1000}


def measure_waves(subject):
    """Bursts over a pool of long-lived connections, as a busy database's clients make them: the time of each connection's part."""
    connections = [subject.open_pooled() for _ in range(WAVE_CONNECTIONS)]
    try:
        times = waves(connections, WAVES, WAVE_BYTES // WAVE_CONNECTIONS, WAVE_EVERY_S)
    finally:
        for connection in connections:
            connection.close()
    return {"p50_ms": percentile(times, 0.5) * 1000, "p99_ms": percentile(times, 0.99) * 1000, "worst_ms": times[-1] * 1000}


def run(options, results, cases):
    """`cases`: MEASURE_PROFILE."""
    with Lab(BUILD / "tools" / "wan" / "wan", prefix="bt") as lab:
        world = World(lab)
        subjects = [subject for subject in subjects_of(world) if not options.subject or subject.name in options.subject]
        wanted = {profile: [measure for measure in MEASURES if f"{measure}_{profile}" in cases] for profile in PROFILES}
        for turn in range(options.wan_rounds):
            for profile in filter(wanted.get, PROFILES):
                world.set_profile(profile)
                idle_ms = world.idle_ms()
                for subject in subjects[turn % len(subjects):] + subjects[:turn % len(subjects)]:
                    try:
                        measure(options, results, subject, profile, wanted[profile], idle_ms)
                    except (OSError, RuntimeError, NotReady) as error:
                        print(f"# {subject.name} on {profile}: {error}", flush=True)
                    finally:
                        subject.stop()


def measure(options, results, subject, profile, measures, idle_ms):
    subject.start()
    if "page_cold" in measures:
        results.add(f"page_cold_{profile}", subject.name, **measure_page(subject, True))
    if "bulk" in measures and not subject.is_http2:
        results.add(f"bulk_{profile}", subject.name, **measure_bulk(subject, options.wan_skip, options.wan_seconds, idle_ms))
        time.sleep(1)
    if "page" in measures:
        results.add(f"page_{profile}", subject.name, **measure_page(subject, False))
    if "waves" in measures and hasattr(subject, "open_pooled") and not subject.is_http2:
        results.add(f"waves_{profile}", subject.name, **measure_waves(subject))
    if "beside" in measures and not subject.is_http2:
        results.add(f"beside_{profile}", subject.name, **measure_beside(subject, options.wan_skip, options.wan_seconds))
