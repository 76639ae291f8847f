/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a request goes: the link to a gateway of its site. (L1, L2: the first version chooses the shortest round trip among links that are up.)
 */
#include "edge/private.h"

static bool has(struct link *const *links, size_t count, const struct link *link)
{
    for (size_t i = 0; i < count; i++)
        if (links[i] == link)
            return true;
    return false;
}

struct link *edge_route_pick(struct edge_worker *worker, const struct conf *conf,
                             const struct conf_site *site, struct link *const *tried,
                             size_t tried_count)
{
    const struct edge_options *options = &worker->edge->options;
    struct link *best = NULL;
    uint32_t best_srtt_us = UINT32_MAX;
    for (size_t i = 0; i < site->gateway_count; i++) {
        bool is_self = site->gateways[i] == conf->self;
        struct link *link =
            link_to_gateway(options->links,
                            is_self ? options->public_key : site->gateways[i]->public_key);
        if (!link || !link_is_up(link) || has(tried, tried_count, link))
            continue;
        struct link_quality quality = link_read_quality(link);
        if (!best || quality.srtt_us < best_srtt_us) {
            best = link;
            best_srtt_us = quality.srtt_us;
        }
    }
    return best;
}

bool edge_route_serves(const struct conf *conf, const struct conf_site *site)
{
    for (size_t i = 0; i < site->edge_count; i++)
        if (site->edges[i] == conf->self)
            return true;
    return false;
}
