/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights of priorities for each link and of sites within a priority (T3, T4): as configured, and as told while running.
 */
#include "base/memory.h"
#include "link/driver.h"

void weights_follow_sites(struct link_set *set, const struct conf *conf)
{
    memory_free(set->site_weights);
    set->site_weight_count = 0;
    set->site_weights = memory_new((conf->site_count + 1) * sizeof *set->site_weights);
    for (size_t i = 0; i < conf->site_count; i++)
        if (conf->sites[i].weight != LINK_SITE_WEIGHT)
            set->site_weights[set->site_weight_count++] =
                (struct transport_site_weight){conf->sites[i].number, conf->sites[i].weight};
}

static void configure_all(struct worker *worker, void *argument)
{
    struct link_set *set = argument;
    for (uint32_t i = 0; i < set->link_count; i++)
        if (set->links[i]->owner == worker_id(worker) && set->links[i]->lane)
            lane_configure(set->links[i]->lane);
}

bool link_set_weigh(struct link_set *set, struct worker_set *workers, const char *peer,
                    const uint8_t weights[CONF_RINGS])
{
    bool is_found = false;
    for (uint32_t i = 0; i < set->link_count; i++) {
        struct link *link = set->links[i];
        if (!link->is_wanted || strcmp(link_peer_name(link), peer) != 0)
            continue;
        memcpy(link->weights, weights, CONF_RINGS);
        is_found = true;
    }
    if (is_found)
        workers_run_on_all(workers, configure_all, set);
    return is_found;
}

void link_set_weigh_site(struct link_set *set, struct worker_set *workers, uint16_t number,
                         uint8_t weight)
{
    size_t at = 0;
    while (at < set->site_weight_count && set->site_weights[at].number != number)
        at++;
    if (at == set->site_weight_count) {
        struct transport_site_weight *wider = memory_new((at + 2) * sizeof *wider);
        memcpy(wider, set->site_weights, at * sizeof *wider);
        memory_free(set->site_weights);
        set->site_weights = wider;
        set->site_weight_count++;
    }
    set->site_weights[at] = (struct transport_site_weight){number, weight};
    workers_run_on_all(workers, configure_all, set);
}
