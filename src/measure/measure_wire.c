/* SPDX-License-Identifier: Apache-2.0
 *
 * The datagrams of measurements: MEASURE to a DNS node, REQUEST from it; and the window of numbers that were seen.
 * docs/protocol/measure.md.
 */
#include "measure/status_wire.h"

enum { SEQUENCE_OFFSET = 20, COUNTER_OFFSET = 20, WINDOW = 64 };

/* --- MEASURE --- */

size_t measure_write(struct aead *aead, const struct status_header *header,
                     struct status_standing standing, const struct measure_message *message,
                     uint8_t out[MEASURE_DATAGRAM_MAX])
{
    uint8_t *at = status_put_head(out, STATUS_TYPE_MEASURE, header), nonce[AEAD_NONCE_BYTES];
    uint8_t *contents = at;
    at = store_u64(at, standing.epoch);
    at = store_u64(at, standing.turn);
    memcpy(at, message->bytes, message->length);
    size_t length = MEASURE_STANDING_BYTES + (size_t)message->length;
    status_nonce(header->sequence, nonce);
    aead_seal(aead, nonce, span_of(out, STATUS_HEADER_BYTES), span_of(contents, length), contents);
    return STATUS_HEADER_BYTES + length + AEAD_TAG_BYTES;
}

int measure_read_header(struct span datagram, struct status_header *header)
{
    if (datagram.length < STATUS_HEADER_BYTES + MEASURE_STANDING_BYTES + AEAD_TAG_BYTES ||
        datagram.length > MEASURE_DATAGRAM_MAX)
        return ERROR_INVALID;
    return status_take_head(datagram, STATUS_TYPE_MEASURE, header);
}

int measure_read(struct aead *aead, struct span datagram, struct status_standing *standing,
                 struct measure_message *message)
{
    uint8_t contents[MEASURE_STANDING_BYTES + MEASURE_SECTIONS_MAX], nonce[AEAD_NONCE_BYTES];
    status_nonce(load_u64(datagram.data + SEQUENCE_OFFSET), nonce);
    int result = aead_open(aead, nonce, span_of(datagram.data, STATUS_HEADER_BYTES),
                           span_from(datagram, STATUS_HEADER_BYTES), contents);
    if (result < 0)
        return result;
    *standing = (struct status_standing){load_u64(contents), load_u64(contents + 8)};
    *message =
        (struct measure_message){.length = (uint16_t)(datagram.length - STATUS_HEADER_BYTES -
                                                      MEASURE_STANDING_BYTES - AEAD_TAG_BYTES)};
    memcpy(message->bytes, contents + MEASURE_STANDING_BYTES, message->length);
    return 0;
}

/* --- REQUEST --- */

size_t request_write(struct aead *aead, const struct request_header *header,
                     const struct measure_message *message, uint8_t out[MEASURE_DATAGRAM_MAX])
{
    uint8_t *at = out, nonce[AEAD_NONCE_BYTES];
    *at++ = STATUS_TYPE_REQUEST;
    *at++ = STATUS_VERSION;
    at = store_u16(at, 0);
    at = store_u64(at, header->tag);
    at = store_u64(at, header->epoch);
    at = store_u64(at, header->counter);
    at = store_u64(at, header->incarnation);
    status_nonce(header->counter, nonce);
    aead_seal(aead, nonce, span_of(out, REQUEST_HEADER_BYTES),
              span_of(message->bytes, message->length), at);
    return REQUEST_HEADER_BYTES + (size_t)message->length + AEAD_TAG_BYTES;
}

int request_read_header(struct span datagram, struct request_header *header)
{
    if (datagram.length < REQUEST_HEADER_BYTES + AEAD_TAG_BYTES ||
        datagram.length > REQUEST_HEADER_BYTES + MEASURE_SECTIONS_MAX + AEAD_TAG_BYTES)
        return ERROR_INVALID;
    struct reader reader = reader_of(datagram);
    uint8_t type = read_u8(&reader), version = read_u8(&reader);
    uint16_t zero = read_u16(&reader);
    header->tag = read_u64(&reader);
    header->epoch = read_u64(&reader);
    header->counter = read_u64(&reader);
    header->incarnation = read_u64(&reader);
    return type == STATUS_TYPE_REQUEST && version == STATUS_VERSION && zero == 0 &&
                   header->epoch != 0
               ? 0
               : ERROR_INVALID;
}

int request_read(struct aead *aead, struct span datagram, struct measure_message *message)
{
    uint8_t nonce[AEAD_NONCE_BYTES];
    status_nonce(load_u64(datagram.data + COUNTER_OFFSET), nonce);
    *message = (struct measure_message){
        .length = (uint16_t)(datagram.length - REQUEST_HEADER_BYTES - AEAD_TAG_BYTES)};
    return aead_open(aead, nonce, span_of(datagram.data, REQUEST_HEADER_BYTES),
                     span_from(datagram, REQUEST_HEADER_BYTES), message->bytes);
}

/* --- the window: numbers begin at 1 --- */

bool window_has(const struct status_window *window, uint64_t number)
{
    if (number > window->greatest)
        return false;
    uint64_t age = window->greatest - number;
    return number == 0 || age >= WINDOW || (window->seen >> age & 1);
}

void window_take(struct status_window *window, uint64_t number)
{
    if (number <= window->greatest) {
        window->seen |= 1ull << (window->greatest - number);
        return;
    }
    uint64_t ahead = number - window->greatest;
    window->seen = (ahead < WINDOW ? window->seen << ahead : 0) | 1;
    window->greatest = number;
}
