/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections of measurements: runs of records of one kind and size, so that records can grow and kinds can be added
 * without a new version. docs/protocol/measure.md.
 *
 *     type (1) | bytes of a record (1) | number of records (2) | records
 */
#include "measure/measure.h"

#include "base/bytes.h"

enum {
    SECTION_BYTES = 4,
    RECORD_MAX = 48, /* of those that we write */

    /* The wire's types: those of measure_kind, and IPv6's. */
    TYPE_LOAD = MEASURE_LOAD,
    TYPE_LINK = MEASURE_LINK,
    TYPE_LATENCY_4 = MEASURE_LATENCY,
    TYPE_LATENCY_6 = 4,
    TYPE_HEALTH = MEASURE_HEALTH,
    TYPE_HELD = MEASURE_HELD,
    TYPE_PROOF = MEASURE_PROOF,
    TYPE_PROBE_4 = MEASURE_PROBE,
    TYPE_PROBE_6 = 17,

    SOURCE_MASK = 0x0f,
    SILENT = 0x80,
    UP = 1,
};

uint64_t measure_name_id(const struct crypto *crypto, struct span name)
{
    uint8_t hash[HASH_BYTES];
    crypto->hash(crypto, &name, 1, hash);
    return load_u64(hash);
}

/* --- records --- */

static uint8_t *write_load(uint8_t *at, const struct measure_load *load)
{
    *at++ = (uint8_t)load->role;
    *at++ = 0;
    at = store_u16(at, load->load.cpu_idle);
    at = store_u16(at, load->load.load);
    at = store_u16(at, 0);
    at = store_u32(at, load->load.connections);
    at = store_u32(at, load->load.requests_per_s);
    at = store_u64(at, load->load.free_ram_bytes);
    at = store_u64(at, load->load.free_swap_bytes);
    for (size_t i = 0; i < MEASURE_GAUGES; i++)
        at = store_u32(at, load->load.gauges[i]);
    return at;
}

static void read_load(struct reader *reader, struct measure_load *load)
{
    load->role = read_u8(reader);
    read_u8(reader);
    load->load.cpu_idle = read_u16(reader);
    load->load.load = read_u16(reader);
    read_u16(reader);
    load->load.connections = read_u32(reader);
    load->load.requests_per_s = read_u32(reader);
    load->load.free_ram_bytes = read_u64(reader);
    load->load.free_swap_bytes = read_u64(reader);
    for (size_t i = 0; i < MEASURE_GAUGES; i++)
        load->load.gauges[i] = read_u32(reader);
}

static uint8_t *write_link(uint8_t *at, const struct status_gateway *link)
{
    at = store_u64(at, link->id);
    *at++ = link->is_up;
    at = store_u32(at, link->srtt_us);
    return store_u32(at, link->loss_ppm);
}

static void read_link(struct reader *reader, struct status_gateway *link)
{
    link->id = read_u64(reader);
    link->is_up = read_u8(reader) & UP;
    link->srtt_us = read_u32(reader);
    link->loss_ppm = read_u32(reader);
}

static uint8_t *write_address(uint8_t *at, const struct address *address)
{
    size_t bytes = address_bits(address) / 8;
    memcpy(at, address->bytes, bytes);
    return at + bytes;
}

static void read_address(struct reader *reader, uint8_t family, struct address *address)
{
    *address = (struct address){.family = family};
    struct span bytes = read_span(reader, address_bits(address) / 8);
    if (bytes.length)
        memcpy(address->bytes, bytes.data, bytes.length);
}

static uint8_t *write_latency(uint8_t *at, const struct measure_latency *latency)
{
    at = write_address(at, &latency->client);
    *at++ = (uint8_t)((latency->source & SOURCE_MASK) | (latency->is_silent ? SILENT : 0));
    at = store_u16(at, latency->samples);
    at = store_u16(at, latency->age_s);
    return store_u32(at, latency->rtt_us);
}

static void read_latency(struct reader *reader, uint8_t family, struct measure_latency *latency)
{
    read_address(reader, family, &latency->client);
    uint8_t flags = read_u8(reader);
    latency->source = flags & SOURCE_MASK;
    latency->is_silent = flags & SILENT;
    latency->samples = read_u16(reader);
    latency->age_s = read_u16(reader);
    latency->rtt_us = read_u32(reader);
}

static uint8_t *write_health(uint8_t *at, const struct measure_health *health)
{
    at = store_u64(at, health->subject);
    *at++ = health->kind;
    *at++ = health->check;
    *at++ = health->cause;
    *at++ = health->is_up ? UP : 0;
    at = store_u16(at, health->age_s);
    at = store_u16(at, health->streak);
    return store_u32(at, health->rtt_us);
}

static void read_health(struct reader *reader, struct measure_health *health)
{
    health->subject = read_u64(reader);
    health->kind = read_u8(reader);
    health->check = read_u8(reader);
    health->cause = read_u8(reader);
    health->is_up = read_u8(reader) & UP;
    health->age_s = read_u16(reader);
    health->streak = read_u16(reader);
    health->rtt_us = read_u32(reader);
}

static uint8_t *write_held(uint8_t *at, const struct measure_held *held)
{
    at = store_u64(at, held->site);
    return store_u16(at, held->share);
}

static uint8_t *write_proof(uint8_t *at, const struct measure_proof *proof)
{
    at = store_u64(at, proof->name);
    memcpy(at, proof->digest, sizeof proof->digest);
    return at + sizeof proof->digest;
}

static void read_proof(struct reader *reader, struct measure_proof *proof)
{
    proof->name = read_u64(reader);
    struct span digest = read_span(reader, sizeof proof->digest);
    if (digest.length)
        memcpy(proof->digest, digest.data, sizeof proof->digest);
}

static void read_held(struct reader *reader, struct measure_held *held)
{
    held->site = read_u64(reader);
    held->share = read_u16(reader);
}

/* --- sections --- */

static uint8_t *write_record(uint8_t *at, const struct measure_item *item, uint8_t *type)
{
    *type = (uint8_t)item->kind;
    switch (item->kind) {
    case MEASURE_LOAD:
        return write_load(at, &item->load);
    case MEASURE_LINK:
        return write_link(at, &item->link);
    case MEASURE_LATENCY:
        *type = item->latency.client.family == 6 ? TYPE_LATENCY_6 : TYPE_LATENCY_4;
        return write_latency(at, &item->latency);
    case MEASURE_HEALTH:
        return write_health(at, &item->health);
    case MEASURE_HELD:
        return write_held(at, &item->held);
    case MEASURE_PROOF:
        return write_proof(at, &item->proof);
    case MEASURE_PROBE:
        *type = item->probe.family == 6 ? TYPE_PROBE_6 : TYPE_PROBE_4;
        return write_address(at, &item->probe);
    }
    return at;
}

bool measure_put(struct measure_message *message, const struct measure_item *item)
{
    uint8_t record[RECORD_MAX], type, *section = message->bytes + message->section;
    size_t bytes = (size_t)(write_record(record, item, &type) - record);
    bool is_open = message->length && section[0] == type;
    size_t needed = is_open ? bytes : SECTION_BYTES + bytes;
    if (message->length + needed > sizeof message->bytes)
        return false;
    if (!is_open) {
        message->section = message->length;
        section = message->bytes + message->section;
        *section = type;
        section[1] = (uint8_t)bytes;
        store_u16(section + 2, 0);
        message->length = (uint16_t)(message->length + SECTION_BYTES);
    }
    memcpy(message->bytes + message->length, record, bytes);
    message->length = (uint16_t)(message->length + bytes);
    store_u16(section + 2, (uint16_t)(load_u16(section + 2) + 1));
    return true;
}

/* What is behind the fields that we know is of a later release. */
static bool read_record(struct span record, uint8_t type, struct measure_item *item)
{
    struct reader reader = reader_of(record);
    switch (type) {
    case TYPE_LOAD:
        item->kind = MEASURE_LOAD;
        read_load(&reader, &item->load);
        break;
    case TYPE_LINK:
        item->kind = MEASURE_LINK;
        read_link(&reader, &item->link);
        break;
    case TYPE_LATENCY_4:
    case TYPE_LATENCY_6:
        item->kind = MEASURE_LATENCY;
        read_latency(&reader, type == TYPE_LATENCY_6 ? 6 : 4, &item->latency);
        break;
    case TYPE_HEALTH:
        item->kind = MEASURE_HEALTH;
        read_health(&reader, &item->health);
        break;
    case TYPE_HELD:
        item->kind = MEASURE_HELD;
        read_held(&reader, &item->held);
        break;
    case TYPE_PROOF:
        item->kind = MEASURE_PROOF;
        read_proof(&reader, &item->proof);
        break;
    case TYPE_PROBE_4:
    case TYPE_PROBE_6:
        item->kind = MEASURE_PROBE;
        read_address(&reader, type == TYPE_PROBE_6 ? 6 : 4, &item->probe);
        break;
    }
    return !reader.failed;
}

static bool is_known(uint8_t type)
{
    static const uint8_t known[] = {TYPE_LOAD,      TYPE_LINK,    TYPE_LATENCY_4,
                                    TYPE_LATENCY_6, TYPE_HEALTH,  TYPE_HELD,
                                    TYPE_PROOF,     TYPE_PROBE_4, TYPE_PROBE_6};
    return memchr(known, type, sizeof known) != NULL;
}

/* Of a role or a source that only a later release knows. */
static bool is_beyond_us(const struct measure_item *item)
{
    return (item->kind == MEASURE_LOAD && item->load.role >= MEASURE_ROLES) ||
           (item->kind == MEASURE_LATENCY && item->latency.source >= LATENCY_SOURCES);
}

struct measure_reader measure_reader_of(const struct measure_message *message)
{
    return (struct measure_reader){.left = span_of(message->bytes, message->length)};
}

/* The next section of a type that we know. */
static bool next_section(struct measure_reader *reader)
{
    while (reader->left.length) {
        struct reader header = reader_of(reader->left);
        reader->type = read_u8(&header);
        reader->record_bytes = read_u8(&header);
        size_t bytes = (size_t)reader->record_bytes * read_u16(&header);
        reader->records = read_span(&header, bytes);
        if (header.failed)
            break;
        reader->left = span_of(header.at, reader_left(&header));
        if (is_known(reader->type)) {
            if (reader->records.length)
                return true;
            continue;
        }
        reader->unknown++;
    }
    reader->is_malformed = reader->left.length != 0;
    return false;
}

bool measure_next(struct measure_reader *reader, struct measure_item *item)
{
    while (!reader->is_malformed && (reader->records.length || next_section(reader))) {
        struct span record = span_of(reader->records.data, reader->record_bytes);
        reader->records = span_of(reader->records.data + reader->record_bytes,
                                  reader->records.length - reader->record_bytes);
        if (!read_record(record, reader->type, item)) {
            reader->is_malformed = true;
            return false;
        }
        if (!is_beyond_us(item))
            return true;
    }
    return false;
}
