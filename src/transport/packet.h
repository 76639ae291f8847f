/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a DATA packet: 12 bytes in clear, all of them authenticated, before the sealed
 * frames and a tag of 16.
 *
 *     type (4 bits), key phase (2), reserved (2, zero) | path id (8) | packet number (48) |
 *     receiver index (32)
 */
#ifndef TRANSPORT_PACKET_H
#define TRANSPORT_PACKET_H

#include "base/bytes.h"

enum {
    PACKET_HEADER_BYTES = 12,
    PACKET_TAG_BYTES = 16,
    PACKET_OVERHEAD_BYTES = PACKET_HEADER_BYTES + PACKET_TAG_BYTES,
    PACKET_PHASES = 4,
    PACKET_NONCE_BYTES = 12,
};
#define PACKET_NUMBER_MAX ((1ull << 48) - 1)

struct packet_header {
    uint8_t phase; /* key phase, 0 .. 3 */
    uint8_t path;
    uint32_t index;  /* the receiver's */
    uint64_t number; /* strictly increasing on a path, never truncated */
};

void packet_header_write(const struct packet_header *header, uint8_t out[PACKET_HEADER_BYTES]);

/* 0, or ERROR_INVALID: not a DATA packet with room for a tag, or reserved bits are set. */
MUST_USE int packet_header_read(struct span packet, struct packet_header *header);

/* iv xor (path id in 32 bits, packet number in 64 bits) */
void packet_nonce(const uint8_t iv[PACKET_NONCE_BYTES], uint8_t path, uint64_t number,
                  uint8_t nonce[PACKET_NONCE_BYTES]);

#endif
