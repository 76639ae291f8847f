#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A second, straightforward implementation of docs/protocol/measure.md, as status_reference.py is of its page, which computes the
# test vectors of that page from their inputs. `measure_reference.py PAGE` compares and fails on the first difference; with --print
# it writes the block anew. test_measure_vectors.c checks our own implementation against the same page.
import ipaddress
import struct
import sys

from status_reference import ChaCha20Poly1305, check, mac, pair

INPUTS = ("node_private", "receiver_private", "incarnation", "sequence", "epoch", "turn", "counter")


def section(kind, *records):
    return struct.pack(">BBH", kind, len(records[0]), len(records)) + b"".join(records)


def address(text):
    return ipaddress.ip_address(text).packed


def compute(v):
    made = pair(v["node_private"], v["receiver_private"], bytes(32))
    sections = (
        section(1, struct.pack(">BxHHxxIIQQ4I", 2, 875, 321, 1234, 2**32 - 1, 5 << 30, 2**64 - 1, 7, 8, 9, 2**32 - 1)) +
        section(3, address("192.0.2.7") + struct.pack(">BHHI", 0, 12, 3, 21000),
                address("198.51.100.9") + struct.pack(">BHHI", 0x81, 1, 0, 2000000)) +
        section(4, address("2001:db8::7") + struct.pack(">BHHI", 1, 5, 60, 45678)) +
        section(5, mac(b"", b"")[:8] + struct.pack(">BBBBHHI", 0, 1, 2, 0, 4, 3, 0)))
    header = b"\x61\x01\x00\x00" + made["tag"] + v["incarnation"] + v["sequence"]
    key = mac(made["report_key"], v["incarnation"], b"measure")
    measure = header + ChaCha20Poly1305(key).encrypt(bytes(4) + v["sequence"], v["epoch"] + v["turn"] + sections, header)
    asked = section(16, address("192.0.2.7")) + section(17, address("2001:db8::7"))
    header = b"\x71\x01\x00\x00" + made["tag"] + v["epoch"] + v["counter"] + v["incarnation"]
    key = mac(made["answer_key"], v["epoch"])
    request = header + ChaCha20Poly1305(key).encrypt(bytes(4) + v["counter"], asked, header)
    return {"tag": made["tag"], "sections": sections, "measure_datagram": measure, "request_datagram": request}


if __name__ == "__main__":
    sys.exit(check(INPUTS, compute))
