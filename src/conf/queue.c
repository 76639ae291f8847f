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
    }
}

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
