/* SPDX-License-Identifier: Apache-2.0
 *
 * What each site's visitors got lately: counts of requests, errors and bytes, and the last minute's rate and times, for
 * `causeway top` and /status. Each worker counts in a table of its own that only grows; whoever asks adds them up.
 */
#include "edge/private.h"

#include "base/hash.h"
#include "base/memory.h"

enum {
    PLACES = 512,             /* of a worker's table; a power of two */
    SITES_SHOWN = PLACES / 2, /* others are in the sums of all only */
    LOOK_UPS = 4096,          /* so many are remembered, or half of it */
    LOOK_UPS_LEAST = 16,      /* few say little: these count as if nothing had been there */
};

struct site_counts {
    char *name;
    uint64_t hash;
    _Atomic uint64_t requests, errors, hits, bytes;
    _Atomic uint64_t look_ups, held;
    struct recent *recent;
};

struct edge_sites {
    struct site_counts *_Atomic places[PLACES];
    uint32_t count;
};

struct edge_sites *edge_sites_new(void)
{
    return NEW(struct edge_sites);
}

void edge_sites_free(struct edge_sites **freed)
{
    struct edge_sites *sites = *freed;
    *freed = NULL;
    for (size_t i = 0; sites && i < PLACES; i++) {
        struct site_counts *site = atomic_load(&sites->places[i]);
        if (!site)
            continue;
        recent_free(&site->recent);
        memory_free(site->name);
        memory_free(site);
    }
    memory_free(sites);
}

static uint64_t hash_of(const char *name)
{
    return hash_span(span_text(name), 0);
}

/* The site's place, or the free one where it would stand. */
static struct site_counts *_Atomic *place_of(struct edge_sites *sites, const char *name,
                                             uint64_t hash)
{
    for (uint64_t i = hash;; i++) {
        struct site_counts *_Atomic *place = &sites->places[i & (PLACES - 1)];
        const struct site_counts *site = atomic_load_explicit(place, memory_order_acquire);
        if (!site || (site->hash == hash && strcmp(site->name, name) == 0))
            return place;
    }
}

static struct site_counts *counts_of(struct edge_sites *sites, const char *name, uint64_t now_ns)
{
    uint64_t hash = hash_of(name);
    struct site_counts *_Atomic *place = place_of(sites, name, hash);
    struct site_counts *site = atomic_load_explicit(place, memory_order_relaxed);
    if (site || sites->count == SITES_SHOWN)
        return site;
    site = NEW(struct site_counts);
    site->name = memory_text(name, strlen(name));
    site->hash = hash;
    site->recent = recent_new(now_ns);
    sites->count++;
    atomic_store_explicit(place, site, memory_order_release);
    return site;
}

/* The worker is the only one that writes. */
static void add(_Atomic uint64_t *counter, uint64_t count)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count,
                          memory_order_relaxed);
}

static void halve(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) / 2,
                          memory_order_relaxed);
}

static void count_look_up(struct site_counts *site, bool was_held)
{
    add(&site->look_ups, 1);
    add(&site->held, was_held);
    if (atomic_load_explicit(&site->look_ups, memory_order_relaxed) < LOOK_UPS)
        return;
    halve(&site->look_ups);
    halve(&site->held);
}

void edge_sites_count(struct edge_sites *sites, const char *name, uint64_t now_ns,
                      const struct edge_site_request *request)
{
    struct site_counts *site = counts_of(sites, name, now_ns);
    if (!site)
        return;
    add(&site->requests, 1);
    add(&site->errors, request->status >= 500 || request->status == 0);
    add(&site->hits, request->was_held);
    add(&site->bytes, request->bytes);
    recent_add(site->recent, now_ns, request->total_ns);
    if (request->was_looked_up)
        count_look_up(site, request->was_held);
}

/* ---- reading */

unsigned edge_sites_held(struct edge_sites *const *list, size_t count, const char *name)
{
    uint64_t look_ups = LOOK_UPS_LEAST, held = 0, hash = hash_of(name);
    for (size_t i = 0; i < count; i++) {
        struct site_counts *site =
            atomic_load_explicit(place_of(list[i], name, hash), memory_order_acquire);
        if (!site)
            continue;
        look_ups += atomic_load_explicit(&site->look_ups, memory_order_relaxed);
        held += atomic_load_explicit(&site->held, memory_order_relaxed);
    }
    return held < look_ups ? (unsigned)(held * 1000 / look_ups) : 1000;
}

static bool is_told(struct edge_sites *const *list, size_t before, const struct site_counts *site)
{
    for (size_t i = 0; i < before; i++)
        if (atomic_load_explicit(place_of(list[i], site->name, site->hash), memory_order_acquire))
            return true;
    return false;
}

static json_t *tell(struct edge_sites *const *list, size_t count, const struct site_counts *named,
                    uint64_t now_ns)
{
    uint64_t requests = 0, errors = 0, hits = 0, bytes = 0;
    struct recent **recent = memory_new(count * sizeof(struct recent *));
    for (size_t i = 0; i < count; i++) {
        struct site_counts *site =
            atomic_load_explicit(place_of(list[i], named->name, named->hash), memory_order_acquire);
        if (!site)
            continue;
        requests += atomic_load_explicit(&site->requests, memory_order_relaxed);
        errors += atomic_load_explicit(&site->errors, memory_order_relaxed);
        hits += atomic_load_explicit(&site->hits, memory_order_relaxed);
        bytes += atomic_load_explicit(&site->bytes, memory_order_relaxed);
        recent[i] = site->recent;
    }
    struct recent_facts facts;
    recent_read(recent, count, now_ns, &facts);
    memory_free((void *)recent);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "name", named->name, "requests",
                     (json_int_t)requests, "errors", (json_int_t)errors, "hits", (json_int_t)hits,
                     "bytes_out", (json_int_t)bytes, "requests_per_s", facts.per_s, "p50_ms",
                     (double)facts.p50_ns / 1e6, "p99_ms", (double)facts.p99_ns / 1e6);
}

json_t *edge_sites_status(struct edge_sites *const *list, size_t count, uint64_t now_ns)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < PLACES; k++) {
            const struct site_counts *site =
                atomic_load_explicit(&list[i]->places[k], memory_order_acquire);
            if (site && !is_told(list, i, site))
                json_array_append_new(all, tell(list, count, site, now_ns));
        }
    return all;
}
