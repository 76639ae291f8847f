/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a DATA packet.
 */
#include "transport/packet.h"

#include "transport/handshake.h"

enum { RESERVED_BITS = 3 };

void packet_header_write(const struct packet_header *header, uint8_t out[PACKET_HEADER_BYTES])
{
    out[0] = (uint8_t)(PACKET_DATA << 4 | header->phase << 2);
    out[1] = header->path;
    store_u16(out + 2, (uint16_t)(header->number >> 32));
    store_u32(out + 4, (uint32_t)header->number);
    store_u32(out + PACKET_RECEIVER_INDEX_OFFSET, header->index);
}

int packet_header_read(struct span packet, struct packet_header *header)
{
    if (packet.length < PACKET_OVERHEAD_BYTES)
        return ERROR_INVALID;
    const uint8_t *in = packet.data;
    if (packet_type(in[0]) != PACKET_DATA || in[0] & RESERVED_BITS)
        return ERROR_INVALID;
    header->phase = in[0] >> 2 & (PACKET_PHASES - 1);
    header->path = in[1];
    header->number = (uint64_t)load_u16(in + 2) << 32 | load_u32(in + 4);
    header->index = load_u32(in + PACKET_RECEIVER_INDEX_OFFSET);
    return 0;
}

void packet_nonce(const uint8_t iv[PACKET_NONCE_BYTES], uint8_t path, uint64_t number,
                  uint8_t nonce[PACKET_NONCE_BYTES])
{
    store_u32(nonce, load_u32(iv) ^ path);
    store_u64(nonce + 4, load_u64(iv + 4) ^ number);
}
