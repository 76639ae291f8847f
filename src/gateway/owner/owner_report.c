/* SPDX-License-Identifier: Apache-2.0
 *
 * What others may know of a farm's queue: ten times a second, while there is anything to tell, its state is published for
 * every thread (L5, S6).
 */
#include "gateway/owner/owner_private.h"

#include "base/memory.h"

static void fill_servers(const struct gateway_owner *owner, struct gateway_queue_facts *facts)
{
    for (uint16_t i = 0; i < (uint16_t)OWNER_SERVERS; i++) {
        struct gateway_queue_server *server = &facts->servers[facts->server_count];
        if (!queue_server_report(owner->queue, i, &server->report))
            continue;
        server->address = owner->servers[i].address;
        gateway_judge_report_server(owner->judge, i, &server->failure);
        facts->server_count++;
    }
}

static void publish(struct gateway_owner *owner)
{
    struct gateway_queue_facts *facts = NEW(struct gateway_queue_facts);
    facts->at_ns = gateway_owner_now_ns(owner);
    queue_report(owner->queue, facts->at_ns, &facts->queue);
    fill_servers(owner, facts);
    owner->is_quiet = !facts->queue.waiting && !facts->queue.pending && !facts->queue.rate_milli;
    snapshot_publish(&owner->published, facts, memory_free);
}

void gateway_owner_on_report(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_owner *owner = CONTAINER_OF(timer, struct gateway_owner, report);
    gateway_owner_divide_slots(owner);
    publish(owner);
    if (!owner->is_quiet)
        loop_timer_start(loop, timer, loop_now_ns(loop) + GATEWAY_OWNER_REPORT_NS);
}

const struct gateway_queue_facts *gateway_owner_facts(struct gateway_owner *owner)
{
    return snapshot_read(&owner->published);
}
