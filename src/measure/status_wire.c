/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a pair, and liveness' two datagrams.
 */
#include "measure/status_wire.h"

enum { SEQUENCE_OFFSET = 20, COUNTER_OFFSET = 20 };

uint64_t status_node_id(const struct crypto *crypto, const struct key *public_key)
{
    uint8_t hash[HASH_BYTES];
    struct span key = span_of(public_key->bytes, KEY_BYTES);
    crypto->hash(crypto, &key, 1, hash);
    return load_u64(hash);
}

/* --- keys --- */

int status_pair_init(struct status_pair *pair, const struct crypto *crypto, bool is_edge,
                     const struct key *own_private, const struct key *peer_public,
                     const struct key *pre_shared_key)
{
    struct key own_public, shared;
    int result = crypto->shared(crypto, own_private, peer_public, &shared);
    if (result < 0)
        return result;
    crypto->public_key(crypto, own_private, &own_public);
    const struct key *edge = is_edge ? &own_public : peer_public;
    const struct key *receiver = is_edge ? peer_public : &own_public;

    /* Extract from the exchange and the pre-shared key (zeroes: none), expand with both names. */
    uint8_t input[2 * KEY_BYTES] = {0}, secret[HASH_BYTES], made[2 * KEY_BYTES + 8];
    memcpy(input, shared.bytes, KEY_BYTES);
    if (pre_shared_key)
        memcpy(input + KEY_BYTES, pre_shared_key->bytes, KEY_BYTES);
    crypto_hkdf_extract(crypto, SPAN("causeway status"), span_of(input, sizeof input), secret);
    uint8_t info[2 * KEY_BYTES];
    memcpy(info, edge->bytes, KEY_BYTES);
    memcpy(info + KEY_BYTES, receiver->bytes, KEY_BYTES);
    crypto_hkdf_expand(crypto, secret, span_of(info, sizeof info), made, sizeof made);
    memcpy(pair->report.bytes, made, KEY_BYTES);
    memcpy(pair->answer.bytes, made + KEY_BYTES, KEY_BYTES);
    pair->tag = load_u64(made + 2 * KEY_BYTES);

    bytes_wipe(&shared, sizeof shared);
    bytes_wipe(input, sizeof input);
    bytes_wipe(secret, sizeof secret);
    bytes_wipe(made, sizeof made);
    return 0;
}

void status_pair_clear(struct status_pair *pair)
{
    bytes_wipe(pair, sizeof *pair);
}

static struct aead *drawn_aead(const struct crypto *crypto, const struct key *base, uint64_t name,
                               struct span purpose)
{
    uint8_t text[8];
    struct key key;
    store_u64(text, name);
    const struct span parts[] = {span_of(text, sizeof text), purpose};
    crypto_hmac(crypto, span_of(base->bytes, KEY_BYTES), parts, 2, key.bytes);
    struct aead *aead = crypto->aead_new(crypto, AEAD_CHACHA20_POLY1305, key.bytes);
    bytes_wipe(&key, sizeof key);
    return aead;
}

struct aead *status_report_aead(const struct crypto *crypto, const struct status_pair *pair,
                                uint64_t incarnation)
{
    return drawn_aead(crypto, &pair->report, incarnation, SPAN(""));
}

struct aead *status_measure_aead(const struct crypto *crypto, const struct status_pair *pair,
                                 uint64_t incarnation)
{
    return drawn_aead(crypto, &pair->report, incarnation, SPAN("measure"));
}

struct aead *status_answer_aead(const struct crypto *crypto, const struct status_pair *pair,
                                uint64_t epoch)
{
    return drawn_aead(crypto, &pair->answer, epoch, SPAN(""));
}

/* --- STATUS --- */

static uint8_t *write_contents(uint8_t *at, struct status_standing standing,
                               const struct status_report *report)
{
    size_t workers =
        report->worker_count < STATUS_WORKERS_MAX ? report->worker_count : STATUS_WORKERS_MAX;
    size_t gateways =
        report->gateway_count < STATUS_GATEWAYS_MAX ? report->gateway_count : STATUS_GATEWAYS_MAX;
    at = store_u64(at, standing.epoch);
    at = store_u64(at, standing.turn);
    *at++ = report->flags;
    *at++ = (uint8_t)workers;
    *at++ = (uint8_t)gateways;
    *at++ = 0;
    at = store_u32(at, report->connections);
    at = store_u32(at, report->requests_per_s);
    at = store_u64(at, report->config_hash);
    for (size_t i = 0; i < workers; i++)
        at = store_u16(at, report->worker_age_ms[i]);
    for (size_t i = 0; i < gateways; i++) {
        const struct status_gateway *gateway = &report->gateways[i];
        at = store_u64(at, gateway->id);
        *at++ = gateway->is_up;
        at = store_u32(at, gateway->srtt_us);
        at = store_u32(at, gateway->loss_ppm);
    }
    return at;
}

/* Bytes behind what is known are of a later release and ignored. */
static int read_contents(struct span contents, struct status_standing *standing,
                         struct status_report *report)
{
    struct reader reader = reader_of(contents);
    *report = (struct status_report){0};
    standing->epoch = read_u64(&reader);
    standing->turn = read_u64(&reader);
    report->flags = read_u8(&reader);
    report->worker_count = read_u8(&reader);
    report->gateway_count = read_u8(&reader);
    read_u8(&reader);
    report->connections = read_u32(&reader);
    report->requests_per_s = read_u32(&reader);
    report->config_hash = read_u64(&reader);
    if (report->worker_count > STATUS_WORKERS_MAX || report->gateway_count > STATUS_GATEWAYS_MAX)
        return ERROR_INVALID;
    for (size_t i = 0; i < report->worker_count; i++)
        report->worker_age_ms[i] = read_u16(&reader);
    for (size_t i = 0; i < report->gateway_count; i++) {
        struct status_gateway *gateway = &report->gateways[i];
        gateway->id = read_u64(&reader);
        gateway->is_up = read_u8(&reader) != 0;
        gateway->srtt_us = read_u32(&reader);
        gateway->loss_ppm = read_u32(&reader);
    }
    return reader.failed ? ERROR_INVALID : 0;
}

uint8_t *status_put_head(uint8_t *at, uint8_t type, const struct status_header *header)
{
    *at++ = type;
    *at++ = STATUS_VERSION;
    at = store_u16(at, 0);
    at = store_u64(at, header->tag);
    at = store_u64(at, header->incarnation);
    return store_u64(at, header->sequence);
}

int status_take_head(struct span datagram, uint8_t type, struct status_header *header)
{
    struct reader reader = reader_of(datagram);
    uint8_t is = read_u8(&reader), version = read_u8(&reader);
    uint16_t zero = read_u16(&reader);
    header->tag = read_u64(&reader);
    header->incarnation = read_u64(&reader);
    header->sequence = read_u64(&reader);
    return is == type && version == STATUS_VERSION && zero == 0 ? 0 : ERROR_INVALID;
}

size_t status_write(struct aead *aead, const struct status_header *header,
                    struct status_standing standing, const struct status_report *report,
                    uint8_t out[STATUS_DATAGRAM_MAX])
{
    uint8_t *at = status_put_head(out, STATUS_TYPE_STATUS, header), nonce[AEAD_NONCE_BYTES];
    uint8_t *end = write_contents(at, standing, report);
    status_nonce(header->sequence, nonce);
    aead_seal(aead, nonce, span_of(out, STATUS_HEADER_BYTES), span_of(at, (size_t)(end - at)), at);
    return (size_t)(end - out) + AEAD_TAG_BYTES;
}

int status_read_header(struct span datagram, struct status_header *header)
{
    if (datagram.length < STATUS_DATAGRAM_MIN || datagram.length > STATUS_DATAGRAM_MAX)
        return ERROR_INVALID;
    return status_take_head(datagram, STATUS_TYPE_STATUS, header);
}

int status_read(struct aead *aead, struct span datagram, struct status_standing *standing,
                struct status_report *report)
{
    uint8_t contents[STATUS_CONTENTS_MAX], nonce[AEAD_NONCE_BYTES];
    status_nonce(load_u64(datagram.data + SEQUENCE_OFFSET), nonce);
    int result = aead_open(aead, nonce, span_of(datagram.data, STATUS_HEADER_BYTES),
                           span_from(datagram, STATUS_HEADER_BYTES), contents);
    if (result < 0)
        return result;
    return read_contents(span_of(contents, datagram.length - STATUS_HEADER_BYTES - AEAD_TAG_BYTES),
                         standing, report);
}

/* --- EPOCH --- */

void epoch_write(struct aead *aead, const struct epoch_header *header, uint64_t turn,
                 uint8_t out[STATUS_EPOCH_BYTES])
{
    uint8_t *at = out, nonce[AEAD_NONCE_BYTES];
    *at++ = STATUS_TYPE_EPOCH;
    *at++ = STATUS_VERSION;
    at = store_u16(at, 0);
    at = store_u64(at, header->tag);
    at = store_u64(at, header->epoch);
    at = store_u64(at, header->counter);
    at = store_u64(at, header->incarnation);
    at = store_u64(at, header->sequence);
    store_u64(at, turn);
    status_nonce(header->counter, nonce);
    aead_seal(aead, nonce, span_of(out, EPOCH_HEADER_BYTES), span_of(at, 8), at);
}

int epoch_read_header(struct span datagram, struct epoch_header *header)
{
    if (datagram.length != STATUS_EPOCH_BYTES)
        return ERROR_INVALID;
    struct reader reader = reader_of(datagram);
    uint8_t type = read_u8(&reader), version = read_u8(&reader);
    uint16_t zero = read_u16(&reader);
    header->tag = read_u64(&reader);
    header->epoch = read_u64(&reader);
    header->counter = read_u64(&reader);
    header->incarnation = read_u64(&reader);
    header->sequence = read_u64(&reader);
    return type == STATUS_TYPE_EPOCH && version == STATUS_VERSION && zero == 0 && header->epoch != 0
               ? 0
               : ERROR_INVALID;
}

int epoch_read(struct aead *aead, struct span datagram, uint64_t *turn)
{
    uint8_t contents[8], nonce[AEAD_NONCE_BYTES];
    status_nonce(load_u64(datagram.data + COUNTER_OFFSET), nonce);
    int result = aead_open(aead, nonce, span_of(datagram.data, EPOCH_HEADER_BYTES),
                           span_from(datagram, EPOCH_HEADER_BYTES), contents);
    if (result == 0)
        *turn = load_u64(contents);
    return result;
}
