/* SPDX-License-Identifier: Apache-2.0
 *
 * Transaction signatures (RFC 8945): checking a request's, and signing what answers it, message by message.
 */
#include "dns/dns.h"

#include "base/bytes.h"

enum {
    FIXED_BYTES = 10, /* of a record behind its owner */
    TIMERS_BYTES = 8, /* time, fudge */
    PARTS_LIMIT = 12,
};

static const struct {
    struct span name; /* on the wire, lower case */
    size_t bytes;
} algorithms[DNS_TSIG_ALGORITHMS] = {
    {{(const uint8_t *)"\11hmac-sha1", 11}, 20},
    {{(const uint8_t *)"\13hmac-sha256", 13}, 32},
    {{(const uint8_t *)"\13hmac-sha384", 13}, 48},
    {{(const uint8_t *)"\13hmac-sha512", 13}, 64},
};

/* ---- reading */

static bool skip_name(struct span message, size_t *at)
{
    for (size_t length = 0; *at < message.length;) {
        uint8_t label = message.data[*at];
        if (label >= 0xc0) {
            *at += 2;
            return *at <= message.length;
        }
        length += (size_t)label + 1;
        *at += (size_t)label + 1;
        if (!label)
            return *at <= message.length && length <= DNS_NAME_LIMIT;
        if (label > DNS_LABEL_LIMIT)
            return false;
    }
    return false;
}

static bool skip_question(struct span message, size_t *at)
{
    if (!skip_name(message, at))
        return false;
    *at += 4;
    return *at <= message.length;
}

static bool skip_record(struct span message, size_t *at)
{
    if (!skip_name(message, at) || message.length - *at < FIXED_BYTES)
        return false;
    *at += FIXED_BYTES + load_u16(message.data + *at + 8);
    return *at <= message.length;
}

/* Owner and algorithm must not be compressed, but for senders that do not know better (RFC 8945 section 4.2). */
static int read_record(struct span message, size_t at, struct dns_tsig_record *record)
{
    struct dns_name algorithm;
    record->offset = at;
    if (dns_name_read(message, &at, &record->key_name) < 0 || message.length - at < FIXED_BYTES ||
        load_u16(message.data + at) != DNS_TSIG)
        return ERROR_NOT_FOUND;
    bool is_any = load_u16(message.data + at + 2) == DNS_ANY && !load_u32(message.data + at + 4);
    size_t end = at + FIXED_BYTES + load_u16(message.data + at + 8);
    at += FIXED_BYTES;
    if (!is_any || end != message.length || dns_name_read(message, &at, &algorithm) < 0 || at > end)
        return ERROR_INVALID;
    dns_name_lower(&record->key_name);
    dns_name_lower(&algorithm);
    record->algorithm = DNS_TSIG_ALGORITHMS;
    for (unsigned i = 0; i < DNS_TSIG_ALGORITHMS; i++)
        if (span_equal(span_of(algorithm.wire, algorithm.length),
                       span_of(algorithms[i].name.data, algorithms[i].name.length)))
            record->algorithm = i;
    record->algorithm_name = algorithm;
    struct reader reader = reader_of(span_of(message.data + at, end - at));
    uint64_t high = read_u16(&reader);
    record->time_s = high << 32 | read_u32(&reader);
    record->fudge_s = read_u16(&reader);
    record->mac = read_span(&reader, read_u16(&reader));
    record->id = read_u16(&reader);
    record->error = read_u16(&reader);
    record->other = read_span(&reader, read_u16(&reader));
    return reader.failed || reader_left(&reader) ? ERROR_INVALID : 0;
}

/* It is the last record of all, or it is an error. */
int dns_tsig_read(struct span message, struct dns_tsig_record *record)
{
    if (message.length < DNS_HEADER_BYTES)
        return ERROR_NOT_FOUND;
    unsigned additional = load_u16(message.data + 10);
    unsigned others = (unsigned)load_u16(message.data + 6) + load_u16(message.data + 8);
    size_t at = DNS_HEADER_BYTES;
    if (!additional)
        return ERROR_NOT_FOUND;
    for (unsigned i = load_u16(message.data + 4); i; i--)
        if (!skip_question(message, &at))
            return ERROR_NOT_FOUND;
    for (unsigned i = others + additional - 1; i; i--)
        if (!skip_record(message, &at))
            return ERROR_NOT_FOUND;
    return read_record(message, at, record);
}

/* ---- what is signed */

struct parts {
    struct span items[PARTS_LIMIT];
    size_t count;
};

static void add(struct parts *parts, struct span part)
{
    parts->items[parts->count++] = part;
}

static uint8_t *put_timers(uint8_t *to, uint64_t time_s, uint16_t fudge_s)
{
    to = store_u16(to, (uint16_t)(time_s >> 32));
    to = store_u32(to, (uint32_t)time_s);
    return store_u16(to, fudge_s);
}

/* Section 4.3.3: the whole record's variables, or only its timers in further messages of one answer. */
static void sign(const struct dns_tsig_key *key, struct parts *parts, struct span timers,
                 uint16_t error, struct span other, bool is_further,
                 uint8_t mac[DNS_TSIG_MAC_BYTES])
{
    uint8_t class_ttl[6], tail[4];
    store_u32(store_u16(class_ttl, DNS_ANY), 0);
    store_u16(store_u16(tail, error), (uint16_t)other.length);
    if (!is_further) {
        add(parts, span_of(key->name.wire, key->name.length));
        add(parts, span_of(class_ttl, sizeof class_ttl));
        add(parts, algorithms[key->algorithm].name);
    }
    add(parts, timers);
    if (!is_further) {
        add(parts, span_of(tail, sizeof tail));
        if (other.length)
            add(parts, other);
    }
    key->mac(key->algorithm, key->secret, parts->items, parts->count, mac);
}

static bool equal_in_constant_time(const uint8_t *a, const uint8_t *b, size_t length)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < length; i++)
        differs |= a[i] ^ b[i];
    return !differs;
}

static const struct dns_tsig_key *find_key(const struct dns_tsig_key *keys, size_t count,
                                           const struct dns_tsig_record *record)
{
    for (size_t i = 0; i < count; i++)
        if (dns_name_equal(&keys[i].name, &record->key_name) &&
            keys[i].algorithm == record->algorithm)
            return &keys[i];
    return NULL;
}

/* The message as it was before the signature came behind it. */
static void add_message(struct parts *parts, struct span message,
                        const struct dns_tsig_record *record, uint8_t header[DNS_HEADER_BYTES])
{
    memcpy(header, message.data, DNS_HEADER_BYTES);
    store_u16(header, record->id);
    store_u16(header + 10, (uint16_t)(load_u16(header + 10) - 1));
    add(parts, span_of(header, DNS_HEADER_BYTES));
    add(parts, span_of(message.data + DNS_HEADER_BYTES, record->offset - DNS_HEADER_BYTES));
}

void dns_tsig_check(struct span message, const struct dns_tsig_record *record,
                    const struct dns_tsig_key *keys, size_t count, uint64_t now_s,
                    struct dns_tsig *tsig)
{
    *tsig = (struct dns_tsig){.key = find_key(keys, count, record),
                              .record = *record,
                              .error = DNS_TSIG_BADKEY,
                              .now_s = now_s};
    if (!tsig->key)
        return;
    uint8_t header[DNS_HEADER_BYTES], timers[TIMERS_BYTES], mac[DNS_TSIG_MAC_BYTES];
    struct parts parts = {.count = 0};
    put_timers(timers, record->time_s, record->fudge_s);
    add_message(&parts, message, record, header);
    sign(tsig->key, &parts, span_of(timers, sizeof timers), record->error, record->other, false,
         mac);
    size_t bytes = algorithms[record->algorithm].bytes;
    uint64_t apart_s = now_s > record->time_s ? now_s - record->time_s : record->time_s - now_s;
    tsig->error = DNS_TSIG_BADSIG;
    if (record->mac.length != bytes || !equal_in_constant_time(mac, record->mac.data, bytes))
        return;
    memcpy(tsig->mac, mac, bytes);
    tsig->mac_bytes = bytes;
    tsig->error = apart_s > record->fudge_s ? DNS_TSIG_BADTIME : DNS_NOERROR;
}

/* ---- signing */

void dns_tsig_begin(struct dns_tsig *tsig, const struct dns_tsig_key *key, uint16_t id,
                    uint64_t now_s)
{
    *tsig = (struct dns_tsig){.key = key, .now_s = now_s};
    tsig->record.key_name = key->name;
    tsig->record.id = id;
}

size_t dns_tsig_bytes(const struct dns_tsig *tsig)
{
    size_t algorithm = tsig->key ? algorithms[tsig->key->algorithm].name.length
                                 : tsig->record.algorithm_name.length;
    return tsig->record.key_name.length + FIXED_BYTES + algorithm + TIMERS_BYTES +
           DNS_TSIG_MAC_BYTES + 8 + 6;
}

size_t dns_tsig_sign(struct dns_tsig *tsig, uint8_t *message, size_t length, uint64_t now_s)
{
    const struct dns_tsig_key *key = tsig->key;
    uint8_t timers[TIMERS_BYTES], mac[DNS_TSIG_MAC_BYTES], before[2], other[6];
    bool is_signed = key && tsig->error != DNS_TSIG_BADKEY && tsig->error != DNS_TSIG_BADSIG;
    bool is_late = tsig->error == DNS_TSIG_BADTIME;
    size_t mac_bytes = is_signed ? algorithms[key->algorithm].bytes : 0;
    /* Late or early: the client's own time, and ours beside it (section 5.2.3). */
    put_timers(timers, is_late ? tsig->record.time_s : now_s, DNS_TSIG_FUDGE_S);
    store_u32(store_u16(other, (uint16_t)(now_s >> 32)), (uint32_t)now_s);
    struct span others = span_of(other, is_late ? sizeof other : 0);
    if (is_signed) {
        struct parts parts = {.count = 0};
        store_u16(before, (uint16_t)tsig->mac_bytes);
        if (tsig->mac_bytes) {
            add(&parts, span_of(before, sizeof before));
            add(&parts, span_of(tsig->mac, tsig->mac_bytes));
        }
        add(&parts, span_of(message, length));
        sign(key, &parts, span_of(timers, sizeof timers), tsig->error, others, tsig->is_further,
             mac);
        memcpy(tsig->mac, mac, mac_bytes);
        tsig->mac_bytes = mac_bytes;
        tsig->is_further = true;
    }
    struct span algorithm =
        key ? algorithms[key->algorithm].name
            : span_of(tsig->record.algorithm_name.wire, tsig->record.algorithm_name.length);
    const struct dns_name *name = &tsig->record.key_name;
    uint8_t *to = message + length;
    to = (uint8_t *)memcpy(to, name->wire, name->length) + name->length;
    to = store_u32(store_u16(store_u16(to, DNS_TSIG), DNS_ANY), 0);
    uint8_t *data = to + 2;
    to = (uint8_t *)memcpy(data, algorithm.data, algorithm.length) + algorithm.length;
    to = (uint8_t *)memcpy(to, timers, sizeof timers) + sizeof timers;
    to = store_u16(to, (uint16_t)mac_bytes);
    if (mac_bytes)
        memcpy(to, mac, mac_bytes);
    to = store_u16(to + mac_bytes, load_u16(message));
    to = store_u16(store_u16(to, tsig->error), (uint16_t)others.length);
    if (others.length)
        memcpy(to, other, sizeof other);
    to += others.length;
    store_u16(data - 2, (uint16_t)(to - data));
    store_u16(message + 10, (uint16_t)(load_u16(message + 10) + 1));
    return (size_t)(to - message);
}
