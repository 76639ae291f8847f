/* SPDX-License-Identifier: Apache-2.0
 *
 * Short flows that come and go.
 */
#include "web.h"

#include "base/list.h"

#include <math.h>
#include <stdlib.h>

enum { WEB_BYTES_MIN = 10000, WEB_BYTES_MAX = 100000 };

static struct web *web_of(struct sim_node *node)
{
    return (struct web *)(void *)node;
}

static uint64_t web_next(const struct sim_node *node)
{
    return ((const struct web *)(const void *)node)->next_ns;
}

static void on_done(struct flow *flow)
{
    struct web *web = flow->context;
    if (web->done < WEB_TIMES_MAX)
        web->times_ns[web->done] = web->node.sim->now_ns - flow->start_ns;
    web->done++;
    web->packets += flow->limit_packets;
    for (uint16_t i = 0; i < WEB_FLOWS; i++) {
        if (web->flows[i] == flow)
            web->idle[web->idle_count++] = i;
    }
}

static void web_run(struct sim_node *node)
{
    struct web *web = web_of(node);
    struct random *random = &node->sim->random;
    uint64_t bytes = WEB_BYTES_MIN + random_below(random, WEB_BYTES_MAX - WEB_BYTES_MIN + 1);
    web->arrived++;
    web->next_ns =
        node->sim->now_ns + (uint64_t)(-log(1 - random_unit(random)) * web->mean_gap_ns) + 1;
    if (web->idle_count == 0) {
        web->refused++;
        return;
    }
    struct flow *flow = web->flows[web->idle[--web->idle_count]];
    flow_start_again(flow, (bytes + FLOW_PACKET_BYTES - 1) / FLOW_PACKET_BYTES, node->sim->now_ns);
}

void web_init(struct web *web, struct dumbbell *dumbbell, uint64_t bytes_per_s)
{
    *web = (struct web){
        .mean_gap_ns = (WEB_BYTES_MIN + WEB_BYTES_MAX) / 2.0 / (double)bytes_per_s * 1e9,
        .next_ns = dumbbell->sim.now_ns,
    };
    sim_node_init(&web->node, &dumbbell->sim, "web");
    web->node.next = web_next;
    web->node.run = web_run;
    for (uint16_t i = 0; i < WEB_FLOWS; i++) {
        web->flows[i] = dumbbell_add(dumbbell, FLOW_CUBIC, 1, SIM_NEVER);
        web->flows[i]->on_done = on_done;
        web->flows[i]->context = web;
        web->idle[web->idle_count++] = i;
    }
    sim_node_wake(&web->node);
}

void web_clear(struct web *web)
{
    sim_node_clear(&web->node);
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t web_time_ns(struct web *web, double quantile)
{
    uint64_t count = web->done < WEB_TIMES_MAX ? web->done : WEB_TIMES_MAX;
    if (count == 0)
        return 0;
    qsort(web->times_ns, count, sizeof(web->times_ns[0]), by_time);
    return web->times_ns[(uint64_t)((double)(count - 1) * quantile)];
}
