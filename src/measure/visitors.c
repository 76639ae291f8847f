/* SPDX-License-Identifier: Apache-2.0
 *
 * Round trips of visitors by client network: a table of small sets, and a list of the networks that have samples.
 */
#include "measure/measure.h"

#include "base/hash.h"
#include "base/memory.h"

enum {
    WAYS = 4, /* networks of a set */
    SETS = VISITORS_NETWORKS / WAYS,
    ACTIVITY_CLASSES = 8,           /* 1, 2-3, 4-7 ... 128 and more samples */
    CLASSES = 2 * ACTIVITY_CLASSES, /* those that changed stand above all others */
};
#define SLACK_US 1000 /* a median moves by this much without having changed */

struct visitor_network {
    struct network network; /* family 0: free */
    struct address host;    /* seen last */
    uint32_t samples[VISITORS_KEPT];
    uint32_t count; /* samples since it was told; those beyond VISITORS_KEPT replaced others */
    uint32_t told_us;
    uint64_t told_ns; /* 0: never */
    uint64_t seen_ns;
};

struct visitors {
    uint64_t seed;
    struct random random;
    uint16_t waiting[VISITORS_NETWORKS]; /* numbers of networks with samples */
    size_t waiting_count;
    struct visitor_network networks[VISITORS_NETWORKS];
};
_Static_assert(VISITORS_NETWORKS <= UINT16_MAX + 1, "numbers of networks fit");

struct visitors *visitors_new(uint64_t seed)
{
    struct visitors *visitors = NEW(struct visitors);
    visitors->seed = seed;
    random_seed(&visitors->random, seed);
    return visitors;
}

void visitors_free(struct visitors **freed)
{
    memory_free(*freed);
    *freed = NULL;
}

/* ---- putting */

/* Its samples, which nobody will be told of, leave the list with it. */
static void stop_waiting(struct visitors *visitors, uint16_t number)
{
    size_t at = 0;
    while (visitors->waiting[at] != number)
        at++;
    visitors->waiting[at] = visitors->waiting[--visitors->waiting_count];
}

static struct visitor_network *find(struct visitors *visitors, const struct address *client)
{
    struct network network = latency_network(client);
    size_t set = hash_span(span_of(network.address.bytes, network.bits / 8), visitors->seed) % SETS;
    struct visitor_network *ways = &visitors->networks[set * WAYS], *chosen = ways;
    for (size_t i = 0; i < WAYS; i++) {
        if (address_equal(&ways[i].network.address, &network.address))
            return &ways[i];
        if (ways[i].seen_ns < chosen->seen_ns)
            chosen = &ways[i];
    }
    if (chosen->count)
        stop_waiting(visitors, (uint16_t)(chosen - visitors->networks));
    *chosen = (struct visitor_network){.network = network};
    return chosen;
}

void visitors_put(struct visitors *visitors, const struct address *client, uint32_t rtt_us,
                  uint64_t now_ns)
{
    struct visitor_network *network = find(visitors, client);
    network->host = *client;
    network->host.port = 0;
    network->seen_ns = now_ns;
    if (network->count == 0)
        visitors->waiting[visitors->waiting_count++] = (uint16_t)(network - visitors->networks);
    /* Each sample is kept with the same chance (Vitter's algorithm R). */
    uint64_t at = network->count < VISITORS_KEPT
                      ? network->count
                      : random_below(&visitors->random, (uint64_t)network->count + 1);
    if (at < VISITORS_KEPT)
        network->samples[at] = rtt_us;
    if (network->count < UINT32_MAX)
        network->count++;
}

/* ---- taking */

static uint32_t median(const struct visitor_network *network)
{
    uint32_t sorted[VISITORS_KEPT];
    size_t count = network->count < VISITORS_KEPT ? network->count : VISITORS_KEPT;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && sorted[at - 1] > network->samples[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = network->samples[i];
    }
    return sorted[(count - 1) / 2]; /* the lower one of two: noise only ever adds */
}

static bool has_changed(const struct visitor_network *network, uint64_t now_ns)
{
    if (!network->told_ns || now_ns - network->told_ns >= VISITORS_REFRESH_NS)
        return true;
    uint32_t now_us = median(network), told_us = network->told_us;
    return (now_us > told_us ? now_us - told_us : told_us - now_us) > told_us / 8 + SLACK_US;
}

static unsigned class_of(const struct visitor_network *network, uint64_t now_ns)
{
    unsigned class = 31 - (unsigned)__builtin_clz(network->count);
    if (class >= ACTIVITY_CLASSES)
        class = ACTIVITY_CLASSES - 1;
    return class + (has_changed(network, now_ns) ? ACTIVITY_CLASSES : 0);
}

static struct measure_latency tell(struct visitor_network *network, uint64_t now_ns)
{
    network->told_us = median(network);
    network->told_ns = now_ns;
    struct measure_latency latency = {.client = network->host,
                                      .source = LATENCY_PASSIVE,
                                      .samples = network->count < UINT16_MAX
                                                     ? (uint16_t)network->count
                                                     : UINT16_MAX,
                                      .rtt_us = network->told_us};
    network->count = 0;
    return latency;
}

/* The classes from `*least` on are told whole; of `*least` itself only as many as there is room for. */
static void find_least(const unsigned counts[CLASSES], size_t room, unsigned *least,
                       size_t *of_least)
{
    size_t above = 0;
    for (*least = CLASSES - 1; *least > 0 && above + counts[*least] < room; --*least)
        above += counts[*least];
    *of_least = room - above;
}

size_t visitors_take(struct visitors *visitors, struct measure_latency *out, size_t room,
                     uint64_t now_ns)
{
    uint8_t classes[VISITORS_NETWORKS];
    unsigned counts[CLASSES] = {0}, least;
    size_t of_least, taken = 0, left = 0, waiting = visitors->waiting_count;
    for (size_t i = 0; i < waiting; i++) {
        classes[i] = (uint8_t)class_of(&visitors->networks[visitors->waiting[i]], now_ns);
        counts[classes[i]]++;
    }
    find_least(counts, room, &least, &of_least);
    for (size_t i = 0; i < waiting; i++) {
        uint16_t number = visitors->waiting[i];
        bool is_least = classes[i] == least && of_least > 0;
        if (classes[i] > least || is_least) {
            of_least -= is_least;
            out[taken++] = tell(&visitors->networks[number], now_ns);
        } else {
            visitors->waiting[left++] = number;
        }
    }
    visitors->waiting_count = left;
    return taken;
}

size_t visitors_waiting(const struct visitors *visitors)
{
    return visitors->waiting_count;
}
