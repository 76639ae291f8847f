# SPDX-License-Identifier: Apache-2.0
"""Writes MaxMind databases (MMDB, format 2.0) for tests and benches: of networks with their data, or a synthetic one of
the size and shape of a city database.

    mmdb.py FILE < LINES            lines: NETWORK JSON
    mmdb.py FILE --city NETWORKS    that many, from a seed
"""
import argparse
import ipaddress
import json
import random
import struct
import sys

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = 16
UINT16, UINT32, UINT64 = 5, 6, 9  # types of (type, number)


class Data:
    """The data section: equal values are written once and pointed at."""

    def __init__(self):
        self.bytes = bytearray()
        self.places = {}

    @staticmethod
    def header(kind, size):
        more = b""
        if size >= 65821:
            size, more = 31, (size - 65821).to_bytes(3, "big")
        elif size >= 285:
            size, more = 30, (size - 285).to_bytes(2, "big")
        elif size >= 29:
            size, more = 29, (size - 29).to_bytes(1, "big")
        return bytes([kind << 5 | size]) + more if kind < 8 else bytes([size, kind - 7]) + more

    @staticmethod
    def pointer(place):
        if place < 2048:
            return bytes([1 << 5 | place >> 8, place & 255])
        if place < 2048 + (1 << 19):
            place -= 2048
            return bytes([1 << 5 | 1 << 3 | place >> 16]) + (place & 0xffff).to_bytes(2, "big")
        if place < 526336 + (1 << 27):
            place -= 526336
            return bytes([1 << 5 | 2 << 3 | place >> 24]) + (place & 0xffffff).to_bytes(3, "big")
        return bytes([1 << 5 | 3 << 3]) + place.to_bytes(4, "big")

    def encode(self, value, shares=True):
        """As bytes that may hold pointers into what is written already."""
        if isinstance(value, bool):
            return bytes([int(value), 14 - 7])
        if isinstance(value, str):
            text = value.encode()
            whole = self.header(2, len(text)) + text
            return self.shared(whole) if shares and len(whole) > 3 else whole
        if isinstance(value, float):
            return self.header(3, 8) + struct.pack(">d", value)
        if isinstance(value, tuple):
            kind, number = value
            digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
            return self.header(kind, len(digits)) + digits
        if isinstance(value, int):
            return self.encode((UINT32 if value < 1 << 32 else UINT64, value))
        if isinstance(value, list):
            return self.header(11, len(value)) + b"".join(self.encode(item, shares) for item in value)
        pairs = b"".join(self.encode(key, shares) + (self.shared(self.encode(item)) if shares and isinstance(item, dict)
                                                     else self.encode(item, shares)) for key, item in value.items())
        return self.header(7, len(value)) + pairs

    def shared(self, whole):
        return self.pointer(self.put(whole))

    def put(self, whole):
        if whole not in self.places:
            self.places[whole] = len(self.bytes)
            self.bytes += whole
        return self.places[whole]

    def add(self, value):
        """Where the value lies."""
        return self.put(self.encode(value))


def description(node_count, record_bits, version, kind):
    fields = {"node_count": (UINT32, node_count), "record_size": (UINT16, record_bits), "ip_version": (UINT16, version), "database_type": kind,
              "languages": ["en"],
              "binary_format_major_version": (UINT16, 2),
              "binary_format_minor_version": (UINT16, 0), "build_epoch": (UINT64, 1700000000), "description": {"en": "written for tests"}}
    return MARKER + Data().encode(fields, shares=False)


def pack(nodes, record_bits):
    """A node is a list of two records."""
    out = bytearray()
    for left, right in nodes:
        if record_bits == 28:
            out += (left & 0xffffff).to_bytes(3, "big") + bytes([left >> 24 << 4 | right >> 24]) + \
                (right & 0xffffff).to_bytes(3, "big")
        else:
            out += left.to_bytes(record_bits // 8, "big") + right.to_bytes(record_bits // 8, "big")
    return bytes(out)


def finish(nodes, leaves, data, record_bits, version, kind):
    """`nodes` hold numbers of nodes, None, or ~n for leaves[n], a place in the data."""
    count = len(nodes)

    def record(value):
        return count if value is None else value if value >= 0 else count + SEPARATOR + leaves[~value]
    return pack(((record(left), record(right)) for left, right in nodes), record_bits) + bytes(SEPARATOR) + \
        bytes(data.bytes) + description(count, record_bits, version, kind)


def write(path, networks, record_bits=28, version=6, kind="Test", aliases=True):
    """`networks`: (text, data) each; a later one lies over an earlier one. IPv4 hangs at ::/96, and at its aliases."""
    data, nodes, leaves = Data(), [[None, None]], []

    def descend(at, bits):
        """Leaves on the way are split; the node and bit at which `bits` end."""
        for bit in bits[:-1]:
            below = nodes[at][bit]
            if below is None or below < 0:
                nodes.append([below, below])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        return at, bits[-1]

    def bits_of(network):
        text = f"{int(network.network_address):0{network.max_prefixlen}b}"[:network.prefixlen]
        return [0] * (96 if network.version == 4 and version == 6 else 0) + [int(bit) for bit in text]

    for text, value in networks:
        leaves.append(data.add(value))
        at, bit = descend(0, bits_of(ipaddress.ip_network(text)))
        nodes[at][bit] = ~(len(leaves) - 1)
    if version == 6 and aliases:
        at, bit = descend(0, [0] * 96)
        root = nodes[at][bit]
        for alias in ("::ffff:0:0/96", "2001::/32", "2002::/16"):
            at, bit = descend(0, bits_of(ipaddress.ip_network(alias)))
            nodes[at][bit] = root
    with open(path, "wb") as file:
        file.write(finish(nodes, leaves, data, record_bits, version, kind))


COUNTRIES = [("EU", "DE", 51, 10), ("EU", "FR", 47, 2), ("EU", "GB", 53, -2), ("NA", "US", 40, -98), ("NA", "CA", 52, -100),
             ("AS", "JP", 36, 138), ("AS", "IN", 22, 78), ("AS", "CN", 33, 108), ("SA", "BR", -12, -50), ("AF", "ZA", -29, 25),
             ("OC", "AU", -28, 138), ("EU", "SE", 60, 15)]
LANGUAGES = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"]


def city(rng, number):
    continent, country, north, east = COUNTRIES[number % len(COUNTRIES)]
    names = {language: f"city {number} in {language}" for language in LANGUAGES}
    return {"city": {"geoname_id": 1000000 + number, "names": names},
            "continent": {"code": continent, "geoname_id": 6255148, "names": {x: f"{continent} {x}" for x in LANGUAGES}},
            "country": {"geoname_id": 2921044, "iso_code": country, "names": {x: f"{country} {x}" for x in LANGUAGES}},
            "location": {"accuracy_radius": 20, "latitude": round(north + rng.uniform(-8, 8), 4),
                         "longitude": round(east + rng.uniform(-15, 15), 4), "time_zone": "Europe/Berlin"},
            "postal": {"code": str(10000 + number)},
            "registered_country": {"geoname_id": 2921044, "iso_code": country, "names": {x: f"{country} {x}" for x in LANGUAGES}},
            "subdivisions": [{"geoname_id": 2950157, "iso_code": f"S{number % 20}"}]}


def write_city(path, networks, seed=1):
    """Two thirds of the networks in IPv4, /16 to /24, the others in 2000::/3, to /48; neighbours are often of one city, as real ones are."""
    rng = random.Random(seed)
    data = Data()
    leaves = [data.add(city(rng, number)) for number in range(max(networks // 30, 1))]
    nodes = [[None, None]]
    last = [0]

    def leaf():
        if rng.random() < 0.5:
            last[0] = rng.randrange(len(leaves))
        return ~last[0]

    def grow(depth, deepest, share):
        """A subtree of about so many networks."""
        if share < 1.5 or depth >= deepest:
            return leaf()
        nodes.append([None, None])
        at, part = len(nodes) - 1, rng.betavariate(3, 3) if depth > 6 else 0.5
        nodes[at][0] = grow(depth + 1, deepest, share * part)
        nodes[at][1] = grow(depth + 1, deepest, share * (1 - part))
        return at

    def chain(bits, below):
        at = 0
        for bit in bits[:-1]:
            if nodes[at][bit] is None:
                nodes.append([None, None])
                nodes[at][bit] = len(nodes) - 1
            at = nodes[at][bit]
        nodes[at][bits[-1]] = below

    ipv4 = grow(0, 24, networks * 2 / 3)
    chain([0] * 96, ipv4)
    chain([0] * 80 + [1] * 16, ipv4)
    chain([0, 0, 1], grow(3, 48, networks / 3))
    record_bits = 28 if len(nodes) + len(data.bytes) < 1 << 27 else 32
    with open(path, "wb") as file:
        file.write(finish(nodes, leaves, data, record_bits, 6, "GeoLite2-City"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--city", type=int, metavar="NETWORKS")
    parser.add_argument("--bits", type=int, default=28, choices=(24, 28, 32))
    parser.add_argument("--version", type=int, default=6, choices=(4, 6))
    arguments = parser.parse_args()
    if arguments.city:
        write_city(arguments.file, arguments.city)
    else:
        rows = (line.split(None, 1) for line in sys.stdin if line.strip())
        write(arguments.file, [(network, json.loads(value)) for network, value in rows], arguments.bits, arguments.version)


if __name__ == "__main__":
    main()
