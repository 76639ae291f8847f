/* SPDX-License-Identifier: Apache-2.0
 *
 * The servers of a farm: which there are, as the map says, and which of them may be used. What health checks, orders and ejections say, and
 * which refused a connection just now, is told to the queue here.
 */
#include "gateway/owner/owner_private.h"

#include "purge/purge.h"

#define AGAIN_NS \
    (1000ull * 1000000) /* when servers that go must finish first to make room for new ones */

/* NULL: it has none any more. */
static const struct gateway_farm *farm_of(const struct gateway_map *map,
                                          const struct gateway_owner *owner)
{
    uint32_t farm = map->farm_of[owner->number];
    return farm == GATEWAY_NO_FARM ? NULL : &map->farms[farm];
}

/* ---- which may be used */

void gateway_owner_judge_servers(struct gateway_owner *owner)
{
    uint64_t now_ns = gateway_owner_now_ns(owner);
    owner->judge_ns = UINT64_MAX;
    gateway_judge_tick(owner->judge, now_ns);
    for (uint16_t i = 0; i < (uint16_t)OWNER_SERVERS; i++) {
        struct owner_server *server = &owner->servers[i];
        gateway_judge_set_available(owner->judge, i, false);
        if (!server->identity || queue_server_find(owner->queue, server->identity) != i)
            continue;
        if (server->avoid_until_ns > now_ns && server->avoid_until_ns < owner->judge_ns)
            owner->judge_ns = server->avoid_until_ns;
        bool is_available = server->avoid_until_ns <= now_ns && !server->is_ordered_out &&
                            !gateway_health_finds_down(owner->gateway, &server->address);
        gateway_judge_set_available(owner->judge, i, is_available);
        queue_server_set_usable(owner->queue, i,
                                is_available && !gateway_judge_ejects(owner->judge, i), now_ns);
    }
    uint64_t return_ns = gateway_judge_wake_ns(owner->judge);
    if (return_ns < owner->judge_ns)
        owner->judge_ns = return_ns;
    gateway_owner_has_news(owner);
}

void gateway_owner_avoid(struct gateway_owner *owner, uint16_t number, uint64_t now_ns)
{
    struct owner_server *server = &owner->servers[number];
    server->avoid_until_ns = now_ns + GATEWAY_AVOID_NS;
    if (owner->judge_ns > server->avoid_until_ns)
        owner->judge_ns = server->avoid_until_ns;
    gateway_judge_set_available(owner->judge, number, false);
    queue_server_set_usable(owner->queue, number, false, now_ns);
}

uint16_t gateway_owner_server_to_avoid(const struct gateway_owner *owner,
                                       const struct gateway_wish *wish)
{
    uint16_t failed =
        wish->except ? queue_server_find(owner->queue, wish->except) : QUEUE_NO_SERVER;
    if (failed == QUEUE_NO_SERVER || wish->session.need == BALANCE_NEEDS_ANY ||
        owner->servers[failed].role != BALANCE_ORIGINAL)
        return failed;
    for (uint16_t i = 0; i < (uint16_t)OWNER_SERVERS; i++) {
        const struct owner_server *server = &owner->servers[i];
        if (i != failed && server->identity && server->role == BALANCE_ORIGINAL &&
            queue_server_find(owner->queue, server->identity) == i)
            return failed;
    }
    return QUEUE_NO_SERVER;
}

void gateway_owner_divide_slots(struct gateway_owner *owner)
{
    const struct gateway_farm *farm = farm_of(gateway_map_read(owner->gateway), owner);
    if (!farm)
        return;
    uint64_t site = purge_site(span_text(farm->site)), now_ns = clock_now_ns();
    for (size_t i = 0; i < farm->server_count; i++) {
        const struct queue_server_spec *spec = &farm->servers[i].spec;
        uint16_t number = queue_server_find(owner->queue, spec->identity);
        if (number == QUEUE_NO_SERVER || !spec->slots)
            continue;
        uint32_t due = gateway_peers_part(owner->gateway->peers, site, spec->slots, now_ns);
        struct queue_part *part = &owner->servers[number].part;
        uint32_t before = part->slots, given = queue_part_follow(part, due);
        if (given < spec->slots || given != before)
            queue_server_set_most(owner->queue, number, given < spec->slots ? given : UINT32_MAX);
        if (given > before)
            loop_task_queue(owner->worker->loop, &owner->pump);
    }
}

/* ---- which there are */

static int set_servers(struct gateway_owner *owner, const struct gateway_farm *farm)
{
    struct queue_server_spec specs[QUEUE_SERVERS_MOST];
    struct gateway_judge_server judged[QUEUE_SERVERS_MOST];
    size_t count = farm ? farm->server_count : 0;
    for (size_t i = 0; i < count; i++)
        specs[i] = farm->servers[i].spec;
    int result = queue_servers_set(owner->queue, specs, count, gateway_owner_now_ns(owner));
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++) {
        uint16_t number = queue_server_find(owner->queue, specs[i].identity);
        struct owner_server *server = &owner->servers[number];
        if (server->identity != specs[i].identity)
            *server = (struct owner_server){.identity = specs[i].identity};
        server->address = farm->servers[i].address;
        server->role = specs[i].role;
        server->behind_ns = specs[i].behind_ns;
        server->drains = !specs[i].weight;
        if (server->role == BALANCE_MIRROR && !server->behind_ns)
            gateway_owner_follow_mirror(owner, number);
        server->is_ordered_out = farm->servers[i].is_ordered_out;
    }
    for (size_t i = 0; i < QUEUE_SERVERS_MOST; i++)
        judged[i] =
            (struct gateway_judge_server){owner->servers[i].identity, owner->servers[i].address};
    gateway_judge_set_servers(owner->judge, judged);
    return 0;
}

/* Shares of classes may be others than the file's, as told while running (L10). */
static void configure_queue(struct gateway_owner *owner, const struct gateway_farm *farm)
{
    const struct conf_site *site =
        conf_find_site(gateway_conf(owner->worker), span_text(farm->site));
    struct queue_settings settings = farm->settings;
    if (site)
        memcpy(settings.share_percent, conf_queue(site).share_percent,
               sizeof settings.share_percent);
    queue_configure(owner->queue, &settings, farm->policy, gateway_owner_now_ns(owner));
}

void gateway_owner_follow(struct gateway_owner *owner, const struct gateway_map *map,
                          const struct gateway_farm *farm)
{
    static const uint64_t no_sets[QUEUE_SETS];
    const uint64_t *sets = farm ? farm->sets : no_sets;
    uint64_t now_ns = gateway_owner_now_ns(owner);
    if (owner->version == map->version)
        return;
    if (set_servers(owner, farm) < 0) {
        log_warning("gateway",
                    "too many servers at a time: new ones wait until others have finished site=%s",
                    farm ? farm->site : "");
        gateway_owner_judge_servers(owner);
        owner->judge_ns = now_ns + AGAIN_NS;
        return;
    }
    owner->version = map->version;
    if (farm) {
        configure_queue(owner, farm);
        owner->sessions_most = farm->sessions_most;
        owner->sessions_idle_ns = farm->sessions_idle_ns;
        gateway_owner_configure_sessions(owner);
        gateway_judge_configure(owner->judge, farm->site, &farm->judge);
    }
    bool has_moved = memcmp(owner->sets, sets, sizeof owner->sets) != 0;
    memcpy(owner->sets, sets, sizeof owner->sets);
    if (has_moved)
        gateway_owner_send_on(owner);
    gateway_owner_judge_servers(owner);
}

void gateway_owners_follow(struct gateway_worker *worker)
{
    const struct gateway_map *map = gateway_map_read(worker->gateway);
    LIST_EACH (item, after, &worker->owners) {
        struct gateway_owner *owner = CONTAINER_OF(item, struct gateway_owner, link);
        if (owner->version == map->version)
            gateway_owner_judge_servers(owner);
        else
            gateway_owner_follow(owner, map, farm_of(map, owner));
    }
}

void gateway_owners_follow_shares(struct gateway_worker *worker)
{
    const struct gateway_map *map = gateway_map_read(worker->gateway);
    LIST_EACH (item, after, &worker->owners) {
        struct gateway_owner *owner = CONTAINER_OF(item, struct gateway_owner, link);
        const struct gateway_farm *farm = farm_of(map, owner);
        if (farm)
            configure_queue(owner, farm);
    }
}

void gateway_owners_deliver(struct worker *receiver, struct message *message)
{
    struct gateway_worker *worker = CONTAINER_OF(message, struct gateway_worker, map_message);
    (void)receiver;
    if (worker->gateway)
        gateway_owners_follow(worker);
}

void gateway_owner_on_wake(struct loop *loop, struct loop_timer *timer)
{
    struct gateway_owner *owner = CONTAINER_OF(timer, struct gateway_owner, wake);
    const struct gateway_map *map = gateway_map_read(owner->gateway);
    if (owner->version != map->version)
        gateway_owner_follow(owner, map, farm_of(map, owner));
    else if (owner->judge_ns <= loop_now_ns(loop))
        gateway_owner_judge_servers(owner);
    gateway_owner_has_news(owner);
}
