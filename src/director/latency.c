/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips by (client network, node, source) in a table of fixed size (H3, R6). A row hangs in three lists: its hash
 * bucket, the rows of its network (the director reads them all at once) and the order of writing, whose far end makes
 * room and expires. All links are row numbers, so that nothing is allocated once the table stands.
 */
#include "director/facts.h"

#include "base/hash.h"
#include "base/memory.h"

enum { NONE = LATENCY_END };

struct row {
    uint64_t taken_ns;
    uint32_t rtt_us;
    uint16_t samples;
    bool is_silent;
    uint32_t key; /* node and source */
    uint32_t network;
    uint32_t bucket_next; /* free rows: the next free one */
    uint32_t sibling_next, sibling_previous;
    uint32_t older, newer;
    uint32_t unused;
};

struct client_network {
    uint64_t key; /* family and prefix; 0: the slot is free */
    uint64_t active_ns;
    uint32_t active_samples; /* as of active_ns */
    uint32_t rows;           /* the first of them; NONE only in a free slot */
    uint32_t row_count;
    uint32_t bucket_next; /* free slots: the next free one */
};

struct latency_table {
    uint64_t seed;
    uint32_t limit, mask;
    uint32_t row_count, row_top; /* rows from row_top on were never used */
    uint32_t network_top;
    uint32_t free_row, free_network;
    uint32_t oldest, newest;
    uint64_t evicted;
    uint32_t *row_buckets, *network_buckets;
    struct row *rows;
    struct client_network *networks;
};

/* ---- keys ---- */

struct network latency_network(const struct address *client)
{
    size_t bytes = client->family == 4 ? 3 : 6;
    struct network network = {.address.family = client->family, .bits = (uint8_t)(bytes * 8)};
    memcpy(network.address.bytes, client->bytes, bytes);
    return network;
}

/* Never 0: the family is in it. */
static uint64_t key_of(const struct address *client)
{
    uint8_t bytes[8] = {client->family};
    memcpy(bytes + 2, client->bytes, client->family == 4 ? 3 : 6);
    uint64_t key;
    memcpy(&key, bytes, sizeof key);
    return key;
}

static struct network network_of(uint64_t key)
{
    uint8_t bytes[8];
    memcpy(bytes, &key, sizeof bytes);
    struct address address = {.family = bytes[0]};
    memcpy(address.bytes, bytes + 2, 6);
    return latency_network(&address);
}

static uint32_t row_key(uint32_t node, enum latency_source source)
{
    return node * LATENCY_SOURCES + (uint32_t)source;
}

static uint32_t *network_bucket(const struct latency_table *table, uint64_t key)
{
    return &table->network_buckets[hash_span(span_of(&key, sizeof key), table->seed) & table->mask];
}

static uint32_t *row_bucket(const struct latency_table *table, uint32_t network, uint32_t key)
{
    uint32_t both[2] = {network, key};
    return &table->row_buckets[hash_span(span_of(both, sizeof both), table->seed) & table->mask];
}

/* ---- finding ---- */

static uint32_t find_network(const struct latency_table *table, uint64_t key)
{
    uint32_t at = *network_bucket(table, key);
    while (at != NONE && table->networks[at].key != key)
        at = table->networks[at].bucket_next;
    return at;
}

static uint32_t find_row(const struct latency_table *table, uint32_t network, uint32_t key)
{
    uint32_t at = *row_bucket(table, network, key);
    while (at != NONE && (table->rows[at].network != network || table->rows[at].key != key))
        at = table->rows[at].bucket_next;
    return at;
}

static struct latency_value value_of(const struct row *row)
{
    return (struct latency_value){row->taken_ns, row->rtt_us, row->samples, row->is_silent};
}

struct latency_value latency_table_find(const struct latency_table *table,
                                        const struct address *client, uint32_t node,
                                        enum latency_source source)
{
    uint32_t network = find_network(table, key_of(client));
    uint32_t at = network == NONE ? NONE : find_row(table, network, row_key(node, source));
    return at == NONE ? (struct latency_value){0} : value_of(&table->rows[at]);
}

uint32_t latency_table_first(const struct latency_table *table, const struct address *client)
{
    uint32_t network = find_network(table, key_of(client));
    return network == NONE ? NONE : table->networks[network].rows;
}

uint32_t latency_table_next(const struct latency_table *table, uint32_t row,
                            struct latency_row *found)
{
    const struct row *at = &table->rows[row];
    *found = (struct latency_row){at->key / LATENCY_SOURCES,
                                  (enum latency_source)(at->key % LATENCY_SOURCES), value_of(at)};
    return at->sibling_next;
}

void latency_table_expect(const struct latency_table *table, const struct address *client,
                          int steps)
{
    const uint32_t *bucket = network_bucket(table, key_of(client));
    if (steps > 1)
        __builtin_prefetch(bucket);
    else if (*bucket != NONE)
        __builtin_prefetch(&table->networks[*bucket]);
}

/* ---- the order of writing ---- */

static void order_remove(struct latency_table *table, uint32_t at)
{
    struct row *row = &table->rows[at];
    *(row->older == NONE ? &table->oldest : &table->rows[row->older].newer) = row->newer;
    *(row->newer == NONE ? &table->newest : &table->rows[row->newer].older) = row->older;
}

static void order_append(struct latency_table *table, uint32_t at)
{
    struct row *row = &table->rows[at];
    row->older = table->newest;
    row->newer = NONE;
    *(row->older == NONE ? &table->oldest : &table->rows[row->older].newer) = at;
    table->newest = at;
}

/* ---- forgetting ---- */

static void forget_network(struct latency_table *table, uint32_t at)
{
    struct client_network *network = &table->networks[at];
    uint32_t *link = network_bucket(table, network->key);
    while (*link != at)
        link = &table->networks[*link].bucket_next;
    *link = network->bucket_next;
    *network = (struct client_network){.bucket_next = table->free_network, .rows = NONE};
    table->free_network = at;
}

static void forget_row(struct latency_table *table, uint32_t at)
{
    struct row *row = &table->rows[at];
    struct client_network *network = &table->networks[row->network];
    uint32_t *link = row_bucket(table, row->network, row->key);
    while (*link != at)
        link = &table->rows[*link].bucket_next;
    *link = row->bucket_next;
    *(row->sibling_previous == NONE ? &network->rows
                                    : &table->rows[row->sibling_previous].sibling_next) =
        row->sibling_next;
    if (row->sibling_next != NONE)
        table->rows[row->sibling_next].sibling_previous = row->sibling_previous;
    order_remove(table, at);
    if (--network->row_count == 0)
        forget_network(table, row->network);
    row->bucket_next = table->free_row;
    table->free_row = at;
    table->row_count--;
}

bool latency_table_expire(struct latency_table *table, uint64_t before_ns)
{
    for (int i = 0; i < LATENCY_EXPIRE_STEP; i++) {
        if (table->oldest == NONE || table->rows[table->oldest].taken_ns >= before_ns)
            return false;
        forget_row(table, table->oldest);
    }
    return table->oldest != NONE && table->rows[table->oldest].taken_ns < before_ns;
}

/* ---- other numbers ---- */

static void rekey(struct latency_table *table, uint32_t at, uint32_t key)
{
    struct row *row = &table->rows[at];
    uint32_t *link = row_bucket(table, row->network, row->key);
    while (*link != at)
        link = &table->rows[*link].bucket_next;
    *link = row->bucket_next;
    row->key = key;
    link = row_bucket(table, row->network, key);
    row->bucket_next = *link;
    *link = at;
}

/* Two rows may have the same key for a moment, while numbers change places: nothing is looked up meanwhile. */
void latency_table_renumber(struct latency_table *table, const uint32_t *numbers, size_t count)
{
    bool is_same = true;
    for (size_t i = 0; i < count; i++)
        is_same &= numbers[i] == i;
    for (uint32_t at = is_same ? NONE : table->oldest, newer; at != NONE; at = newer) {
        uint32_t node = table->rows[at].key / LATENCY_SOURCES;
        newer = table->rows[at].newer;
        if (node >= count || numbers[node] == UINT32_MAX)
            forget_row(table, at);
        else
            rekey(table, at,
                  row_key(numbers[node],
                          (enum latency_source)(table->rows[at].key % LATENCY_SOURCES)));
    }
}

/* ---- writing ---- */

/* There are as many slots for networks as rows, and each network has a row. */
static uint32_t add_network(struct latency_table *table, uint64_t key, uint64_t now_ns)
{
    uint32_t at = table->free_network;
    if (at == NONE)
        at = table->network_top++;
    else
        table->free_network = table->networks[at].bucket_next;
    uint32_t *bucket = network_bucket(table, key);
    table->networks[at] = (struct client_network){
        .key = key, .active_ns = now_ns, .rows = NONE, .bucket_next = *bucket};
    *bucket = at;
    return at;
}

static uint32_t take_free_row(struct latency_table *table)
{
    uint32_t at = table->free_row;
    if (at == NONE)
        return table->row_top++;
    table->free_row = table->rows[at].bucket_next;
    return at;
}

static uint32_t add_row(struct latency_table *table, uint32_t network, uint32_t key)
{
    uint32_t at = take_free_row(table), *bucket = row_bucket(table, network, key);
    uint32_t *siblings = &table->networks[network].rows;
    table->rows[at] = (struct row){.key = key,
                                   .network = network,
                                   .bucket_next = *bucket,
                                   .sibling_next = *siblings,
                                   .sibling_previous = NONE};
    *bucket = at;
    if (*siblings != NONE)
        table->rows[*siblings].sibling_previous = at;
    *siblings = at;
    order_append(table, at);
    table->networks[network].row_count++;
    table->row_count++;
    return at;
}

static void join(struct row *row, uint32_t rtt_us, uint32_t samples, bool is_silent)
{
    uint64_t new = samples < LATENCY_SAMPLES_LIMIT ? samples : LATENCY_SAMPLES_LIMIT;
    uint64_t old = row->is_silent == is_silent ? row->samples : 0;
    if (old + new == 0)
        new = 1;
    uint64_t all = old + new;
    row->rtt_us = (uint32_t)((row->rtt_us * old + rtt_us * new + all / 2) / all);
    row->samples = all < LATENCY_SAMPLES_LIMIT ? (uint16_t)all : LATENCY_SAMPLES_LIMIT;
    row->is_silent = is_silent;
}

static uint32_t activity_at(const struct client_network *network, uint64_t now_ns)
{
    if (now_ns <= network->active_ns)
        return network->active_samples;
    /* Linear within a half-life: continuous, without floating point. */
    uint64_t passed = now_ns - network->active_ns, halvings = passed / LATENCY_HALF_LIFE_NS;
    if (halvings >= 32)
        return 0;
    uint64_t samples = network->active_samples >> halvings;
    uint64_t rest_ms = passed % LATENCY_HALF_LIFE_NS / 1000000;
    return (uint32_t)(samples - samples * rest_ms / (2 * (LATENCY_HALF_LIFE_NS / 1000000)));
}

static void count_activity(struct client_network *network, uint32_t samples, uint64_t now_ns)
{
    uint64_t sum = (uint64_t)activity_at(network, now_ns) + samples;
    network->active_samples = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
    if (now_ns > network->active_ns)
        network->active_ns = now_ns;
}

void latency_table_put(struct latency_table *table, const struct address *client, uint32_t node,
                       enum latency_source source, uint32_t rtt_us, uint32_t samples,
                       bool is_silent, uint64_t now_ns)
{
    INVARIANT(node < LATENCY_NODES_LIMIT);
    uint64_t key = key_of(client);
    uint32_t network = find_network(table, key);
    uint32_t at = network == NONE ? NONE : find_row(table, network, row_key(node, source));
    if (at == NONE) {
        if (table->row_count == table->limit) {
            forget_row(table, table->oldest);
            table->evicted++;
            network = find_network(table, key); /* it may have had this one row only */
        }
        if (network == NONE)
            network = add_network(table, key, now_ns);
        at = add_row(table, network, row_key(node, source));
    } else if (table->newest != at) {
        order_remove(table, at);
        order_append(table, at);
    }
    struct row *row = &table->rows[at];
    join(row, rtt_us, samples, is_silent);
    if (now_ns > row->taken_ns)
        row->taken_ns = now_ns;
    if (source == LATENCY_PASSIVE)
        count_activity(&table->networks[network], samples, now_ns);
}

/* ---- the table ---- */

static void fill(uint32_t *buckets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buckets[i] = NONE;
}

struct latency_table *latency_table_new(uint32_t rows_limit, uint64_t seed)
{
    INVARIANT(rows_limit > 0 && rows_limit <= LATENCY_ROWS_LIMIT);
    struct latency_table *table = NEW(struct latency_table);
    table->seed = seed;
    table->limit = rows_limit;
    while (table->mask < rows_limit)
        table->mask = table->mask * 2 + 1;
    table->free_row = table->free_network = NONE;
    table->oldest = table->newest = NONE;
    size_t buckets = (size_t)table->mask + 1;
    table->row_buckets = memory_raw(buckets * sizeof *table->row_buckets);
    table->network_buckets = memory_raw(buckets * sizeof *table->network_buckets);
    fill(table->row_buckets, buckets);
    fill(table->network_buckets, buckets);
    /* Untouched until used: the machine gives the pages as rows come. */
    table->rows = memory_raw(rows_limit * sizeof *table->rows);
    table->networks = memory_raw(rows_limit * sizeof *table->networks);
    return table;
}

void latency_table_free(struct latency_table *table)
{
    if (!table)
        return;
    memory_free(table->row_buckets);
    memory_free(table->network_buckets);
    memory_free(table->rows);
    memory_free(table->networks);
    memory_free(table);
}

size_t latency_table_count(const struct latency_table *table)
{
    return table->row_count;
}

uint64_t latency_table_evicted(const struct latency_table *table)
{
    return table->evicted;
}

uint32_t latency_table_slots(const struct latency_table *table)
{
    return table->network_top;
}

bool latency_table_slot(const struct latency_table *table, uint32_t slot, uint64_t now_ns,
                        struct latency_activity *activity)
{
    const struct client_network *network = &table->networks[slot];
    if (!network->key)
        return false;
    *activity = (struct latency_activity){network_of(network->key), activity_at(network, now_ns),
                                          network->row_count};
    return true;
}
