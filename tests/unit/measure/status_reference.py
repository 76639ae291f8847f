#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A second, straightforward implementation of docs/protocol/status.md on other code (Python's cryptography, hashlib, hmac), which
# computes the test vectors of that page from their inputs. `status_reference.py PAGE` compares and fails on the first difference;
# with --print it writes the block anew. test_status_vectors.c checks our own implementation against the same page.
import hashlib
import hmac
import re
import struct
import sys

try:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    print("python3-cryptography is not installed")
    sys.exit(77)

INPUTS = ("edge_private", "receiver_private", "pre_shared_key", "incarnation", "sequence", "epoch", "turn", "counter")


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def expand(secret, info, length):
    out, last = b"", b""
    while len(out) < length:
        last = mac(secret, last, info, bytes([len(out) // 32 + 1]))
        out += last
    return out[:length]


def pair(edge_private, receiver_private, pre_shared_key):
    """The keys that two nodes have in common."""
    edge, receiver = (X25519PrivateKey.from_private_bytes(private) for private in (edge_private, receiver_private))
    publics = [key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in (edge, receiver)]
    shared = edge.exchange(X25519PublicKey.from_public_bytes(publics[1]))
    made = expand(mac(b"causeway status", shared, pre_shared_key), publics[0] + publics[1], 72)
    return {"edge_public": publics[0], "receiver_public": publics[1], "tag": made[64:], "report_key": made[:32],
            "answer_key": made[32:64]}


def compute(v):
    made = pair(v["edge_private"], v["receiver_private"], v["pre_shared_key"])
    report_key, answer_key, tag = made["report_key"], made["answer_key"], made["tag"]

    gateway = hashlib.sha256(b"gateway").digest()[:8] + b"\x01" + struct.pack(">II", 45678, 1234)
    contents = (v["epoch"] + v["turn"] + struct.pack(">BBBBIIQ", 1, 2, 1, 0, 1000, 250, 0x1122334455667788) +
                struct.pack(">HH", 3, 999) + gateway)
    header = b"\x60\x01\x00\x00" + tag + v["incarnation"] + v["sequence"]
    status = header + ChaCha20Poly1305(mac(report_key, v["incarnation"])).encrypt(
        bytes(4) + v["sequence"], contents, header)
    header = b"\x70\x01\x00\x00" + tag + v["epoch"] + v["counter"] + v["incarnation"] + v["sequence"]
    epoch = header + ChaCha20Poly1305(mac(answer_key, v["epoch"])).encrypt(bytes(4) + v["counter"], v["turn"], header)
    return made | {"status_datagram": status, "epoch_datagram": epoch}


def read_vectors(page):
    vectors = {}
    for match in re.finditer(r"^([a-z0-9_]+) +((?:[0-9a-f]+\n(?: +)?)+)", page, re.M):
        vectors[match[1]] = bytes.fromhex(re.sub(r"\s", "", match[2]))
    return vectors


def check(inputs, compute_all):
    """Compares the page with what is computed, or prints it."""
    page = open(sys.argv[-1]).read()
    vectors = read_vectors(page[page.index("\n```\n"):])
    computed = compute_all({name: vectors[name] for name in inputs})
    if "--print" in sys.argv:
        for name, value in list((n, vectors[n]) for n in inputs) + list(computed.items()):
            text = value.hex()
            lines = [text[i:i + 80] for i in range(0, len(text), 80)]
            print(f"{name:<18} " + ("\n" + " " * 19).join(lines))
        return 0
    for name, value in computed.items():
        if vectors.get(name) != value:
            print(f"{name} differs: the page has {vectors.get(name, b'').hex()}, computed {value.hex()}")
            return 1
    print(f"{len(computed)} vectors agree")
    return 0


if __name__ == "__main__":
    sys.exit(check(INPUTS, compute))
