/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue in front of a site's origins: what follows from other settings, and whether they fit together.
 */
#include "conf/load.h"

enum { TARGET_PART = 5, INTERVAL_PART = 10 }; /* of the patience */

void derive_queue(struct loader *loader)
{
    struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++) {
        struct queue_settings *queue = &conf->sites[i].queue;
        if (!queue->target_ns)
            queue->target_ns = queue->patience_ns / TARGET_PART;
        if (!queue->interval_ns)
            queue->interval_ns = queue->patience_ns / INTERVAL_PART;
        conf->sites[i].shares = ARENA_NEW(&conf->arena, _Atomic uint64_t);
    }
}

/* ---- shares that are told while running: a word that holds all of them, and that there are some */

#define ARE_TOLD (1ull << 63)

void conf_set_shares(const struct conf_site *site, const uint8_t percent[QUEUE_CLASSES])
{
    uint64_t word = ARE_TOLD;
    for (unsigned i = 0; i < QUEUE_CLASSES; i++)
        word |= (uint64_t)percent[i] << 8 * i;
    atomic_store_explicit(site->shares, word, memory_order_relaxed);
}

struct queue_settings conf_queue(const struct conf_site *site)
{
    struct queue_settings settings = site->queue;
    uint64_t word = site->shares ? atomic_load_explicit(site->shares, memory_order_relaxed) : 0;
    for (unsigned i = 0; word & ARE_TOLD && i < QUEUE_CLASSES; i++)
        settings.share_percent[i] = (uint8_t)(word >> 8 * i);
    return settings;
}

/* ---- relations */

static void check_site_queue(struct loader *loader, const struct conf_site *site)
{
    const struct queue_settings *queue = &site->queue;
    unsigned sum = 0;
    for (int i = 0; i < QUEUE_CLASSES; i++)
        sum += queue->share_percent[i];
    if (sum > 100)
        report_error(&loader->report, place_of(loader, &queue->share_percent[0]),
                     "queue.shares: they are %u percent together", sum);
    if (queue->slots_least > queue->slots_most)
        report_error(&loader->report, place_or(loader, &queue->slots_least, &queue->slots_most),
                     "queue.slots: least is more than most");
    if (queue->target_ns + queue->interval_ns > queue->patience_ns)
        report_error(&loader->report, place_or(loader, &queue->target_ns, &queue->interval_ns),
                     "queue: target and interval together are longer than the patience");
}

void check_queue(struct loader *loader)
{
    for (size_t i = 0; i < loader->conf->site_count; i++)
        check_site_queue(loader, &loader->conf->sites[i]);
}
