#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A second, straightforward implementation of docs/protocol/handshake.md, written from the specification and on other code (Python's cryptography,
# hashlib, hmac), which computes the test vectors of that page from their inputs. `handshake_reference.py PAGE` compares and fails on the first difference; with
# --print it writes the block anew. test_vectors.c checks our own implementation against the same page.
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

INPUTS = ("edge_private", "gateway_private", "pre_shared_key", "edge_ephemeral", "gateway_ephemeral",
          "timestamp", "edge_index", "gateway_index", "lane", "lane_count", "features", "chosen_features",
          "cookie_secret", "cookie_nonce", "source")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf(key, data, count):
    """Noise section 4.3"""
    secret, outputs, last = mac(key, data), [], b""
    for i in range(1, count + 1):
        last = mac(secret, last, bytes([i]))
        outputs.append(last)
    return outputs


def expand(secret, info, length):
    """RFC 5869, one block"""
    return mac(secret, info, b"\x01")[:length]


def public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def dh(private, peer):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(peer))


class Symmetric:
    def __init__(self, prologue, responder_public):
        self.ck = self.h = sha256(b"Noise_IKpsk2_25519_ChaChaPoly_SHA256")
        self.mix_hash(prologue)
        self.mix_hash(responder_public)

    def mix_hash(self, data):
        self.h = sha256(self.h, data)

    def mix_key(self, data):
        self.ck, self.k = hkdf(self.ck, data, 2)
        self.n = 0

    def mix_key_and_hash(self, data):
        self.ck, temporary, self.k = hkdf(self.ck, data, 3)
        self.mix_hash(temporary)
        self.n = 0

    def encrypt_and_hash(self, plain):
        sealed = ChaCha20Poly1305(self.k).encrypt(struct.pack("<4xQ", self.n), plain, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def close_token(private, index):
    return mac(mac(private, b"causeway close"), index)[:16]


def compute(v):
    edge_public, gateway_public = public(v["edge_private"]), public(v["gateway_private"])
    edge_close, gateway_close = (close_token(v[f"{end}_private"], v[f"{end}_index"])
                                 for end in ("edge", "gateway"))
    out = {"edge_public": edge_public, "gateway_public": gateway_public,
           "edge_close_token": edge_close, "gateway_close_token": gateway_close}

    noise = Symmetric(b"causeway link", gateway_public)
    header = b"\x20\x00" + v["lane"] + v["edge_index"] + v["lane_count"] + b"\x00\x00"
    payload = (v["timestamp"] + v["edge_index"] + v["lane"] + v["lane_count"] + b"\x01\x01" +
               b"\x00\x03" + v["features"] + edge_close).ljust(1060, b"\x00")
    e = public(v["edge_ephemeral"])
    noise.mix_hash(e)
    noise.mix_key(e)
    noise.mix_key(dh(v["edge_ephemeral"], gateway_public))
    message = e + noise.encrypt_and_hash(edge_public)
    noise.mix_key(dh(v["edge_private"], gateway_public))
    message += noise.encrypt_and_hash(payload)
    init = header + message
    mac1 = mac(sha256(b"causeway mac1", gateway_public), init)[:16]
    out["init"] = init + mac1 + bytes(16)

    e2 = public(v["gateway_ephemeral"])
    noise.mix_hash(e2)
    noise.mix_key(e2)
    noise.mix_key(dh(v["gateway_ephemeral"], e))
    noise.mix_key(dh(v["gateway_ephemeral"], edge_public))
    noise.mix_key_and_hash(v["pre_shared_key"])
    payload = (v["gateway_index"] + b"\x01\x01\x00\x00" + v["chosen_features"] +
               gateway_close).ljust(32, b"\x00")
    resp = (b"\x30\x00\x00\x00" + v["gateway_index"] + v["edge_index"] + e2 +
            noise.encrypt_and_hash(payload))
    out["resp"] = resp + mac(sha256(b"causeway mac1", edge_public), resp)[:16]

    forth, back = hkdf(noise.ck, b"", 2)
    out["edge_to_gateway"], out["gateway_to_edge"] = forth, back
    out["forth_key_aes"] = expand(forth, b"causeway key", 16)
    out["forth_key_chacha"] = expand(forth, b"causeway key", 32)
    out["forth_iv"] = expand(forth, b"causeway iv", 12)
    out["forth_next"] = expand(forth, b"causeway next", 32)

    cookie = mac(v["cookie_secret"], v["source"])[:16]
    key = mac(sha256(b"causeway cookie", gateway_public), v["cookie_nonce"], mac1)
    header = b"\x40" + bytes(7) + v["edge_index"] + v["cookie_nonce"]
    out["cookie"] = header + ChaCha20Poly1305(key).encrypt(bytes(12), cookie, header)
    out["mac2"] = mac(cookie, init, mac1)[:16]
    return out


def read_vectors(page):
    vectors = {}
    for match in re.finditer(r"^([a-z0-9_]+) +((?:[0-9a-f]+\n(?: +)?)+)", page, re.M):
        vectors[match[1]] = bytes.fromhex(re.sub(r"\s", "", match[2]))
    return vectors


def main():
    page = open(sys.argv[-1]).read()
    vectors = read_vectors(page[page.index("\n```\n"):])
    computed = compute({name: vectors[name] for name in INPUTS})
    if "--print" in sys.argv:
        for name, value in list((n, vectors[n]) for n in INPUTS) + list(computed.items()):
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


sys.exit(main())
