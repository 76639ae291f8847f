/* SPDX-License-Identifier: Apache-2.0
 *
 * `_gateway.<host>`: which gateways are assigned to a site (R10), for those that ask to be told (sites.NAME.dns.gateway). SRV names
 * all of them with their ports; A and AAAA are computed: the addresses of those that live, the least loaded first. They follow
 * states and loads on the first worker; answers read what was published last.
 */
#include "dnsd/private.h"

#include "base/memory.h"

#include <stdlib.h>

enum { FIRST_NUMBER = 1 << 29 }; /* computed names of sites, aliases and levels have lower ones */

struct gateway {
    uint32_t number; /* in the facts */
    bool has_ipv4, has_ipv6;
    uint8_t ipv4[4], ipv6[16]; /* the first of each family */
};

/* Sites with one list of gateways share its answer. */
struct group {
    const struct conf_node **list; /* of the configuration that is being read */
    uint32_t ttl_s;
    struct gateway *gateways;
    size_t count;
    void *_Atomic answer; /* struct dns_addresses, under RCU; NULL: not known yet */
};

struct dnsd_assigned {
    struct group *groups;
    size_t count;
};

struct dnsd_assigned *dnsd_assigned_new(const struct conf *conf)
{
    struct dnsd_assigned *assigned = NEW(struct dnsd_assigned);
    assigned->groups = memory_new((conf->site_count + 1) * sizeof *assigned->groups);
    return assigned;
}

void dnsd_assigned_free(struct dnsd_assigned *assigned)
{
    if (!assigned)
        return;
    for (size_t i = 0; i < assigned->count; i++) {
        memory_free(atomic_load(&assigned->groups[i].answer));
        memory_free(assigned->groups[i].gateways);
    }
    memory_free(assigned->groups);
    memory_free(assigned);
}

/* ---- names */

static void take_address(struct gateway *gateway, const struct address *address)
{
    if (address->family == 4 && !gateway->has_ipv4) {
        memcpy(gateway->ipv4, address->bytes, sizeof gateway->ipv4);
        gateway->has_ipv4 = true;
    } else if (address->family == 6 && !gateway->has_ipv6) {
        memcpy(gateway->ipv6, address->bytes, sizeof gateway->ipv6);
        gateway->has_ipv6 = true;
    }
}

static void take_gateway(const struct conf *conf, const struct conf_node *node,
                         struct gateway *gateway)
{
    for (const struct conf_node *at = conf->nodes; at < node; at++)
        gateway->number += at->gateway != NULL;
    if (node->link_address.family)
        take_address(gateway, &node->link_address);
    for (size_t i = 0; i < node->addresses.count; i++)
        take_address(gateway, &node->addresses.items[i]);
}

static size_t find_group(struct dnsd_assigned *assigned, const struct conf *conf,
                         const struct conf_site *site)
{
    size_t at = 0;
    while (at < assigned->count && (assigned->groups[at].list != site->gateways ||
                                    assigned->groups[at].ttl_s != site->dns_ttl_s))
        at++;
    if (at < assigned->count)
        return at;
    struct group *group = &assigned->groups[assigned->count++];
    group->list = site->gateways;
    group->ttl_s = site->dns_ttl_s;
    group->gateways = memory_new((site->gateway_count + 1) * sizeof *group->gateways);
    for (size_t i = 0; i < site->gateway_count; i++)
        if (site->gateways[i]->gateway)
            take_gateway(conf, site->gateways[i], &group->gateways[group->count++]);
    return at;
}

/* "0 0 4500 gw-1._gateway.www.shop.example." and the addresses of that name. */
static void add_service(struct dns_builder *builder, const struct dns_name *owner,
                        const struct conf_site *site, const struct conf_node *node)
{
    char text[DNS_NAME_TEXT_BYTES], address[ADDRESS_TEXT_BYTES];
    struct gateway gateway = {0};
    struct dns_name target;
    struct text data = {0};
    if (!node->gateway || !node->link_address.family ||
        dns_name_parse(span_text(node->name), owner, &target) < 0)
        return;
    text_add_format(&data, "0 0 %u %s.", node->link_address.port, dns_name_text(&target, text));
    dns_builder_add_text(builder, owner, "SRV", site->dns_ttl_s, data.data, NULL);
    text_clear(&data);
    take_address(&gateway, &node->link_address);
    dns_builder_add_text(builder, &target, gateway.has_ipv4 ? "A" : "AAAA", site->dns_ttl_s,
                         address_text(&node->link_address, false, address), NULL);
}

void dnsd_assigned_add(struct dnsd_assigned *assigned, const struct conf *conf,
                       const struct conf_site *site, struct dns_builder *builder,
                       const struct dns_name *host)
{
    struct dns_name owner;
    if (!site->dns_gateway || !dns_builder_has(builder, host) ||
        (host->wire[0] == 1 && host->wire[1] == '*') ||
        dns_name_parse(SPAN("_gateway"), host, &owner) < 0)
        return;
    dns_builder_add_computed(builder, &owner,
                             FIRST_NUMBER + (uint32_t)find_group(assigned, conf, site));
    for (size_t i = 0; i < site->gateway_count; i++)
        add_service(builder, &owner, site, site->gateways[i]);
}

/* ---- answers */

struct candidate {
    const struct gateway *gateway;
    enum director_state state;
    uint32_t load, place;
};

static int compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->state != b->state)
        return a->state < b->state ? -1 : 1;
    if (a->load != b->load)
        return a->load < b->load ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static void add_addresses(struct dns_addresses *answer, const struct gateway *gateway)
{
    if (gateway->has_ipv4 && answer->ipv4_count < DNS_ADDRESSES_LIMIT)
        memcpy(answer->ipv4[answer->ipv4_count++], gateway->ipv4, sizeof gateway->ipv4);
    if (gateway->has_ipv6 && answer->ipv6_count < DNS_ADDRESSES_LIMIT)
        memcpy(answer->ipv6[answer->ipv6_count++], gateway->ipv6, sizeof gateway->ipv6);
}

/* Those that are up; when there are none, whoever is not taken away by an administrator. Loads count by tenths, so that answers do
 * not change with every report. */
static void rank_group(struct group *group, const struct director_node_facts *facts)
{
    enum { TENTH = LOAD_FULL / 10 };
    struct candidate *candidates = memory_new((group->count + 1) * sizeof *candidates);
    struct dns_addresses answer = {.ttl_s = group->ttl_s};
    for (size_t i = 0; i < group->count; i++) {
        const struct director_node_facts *known = &facts[group->gateways[i].number];
        uint32_t load = known->load.load == LOAD_UNKNOWN ? LOAD_FULL / 2 : known->load.load;
        candidates[i] =
            (struct candidate){&group->gateways[i], known->state, load / TENTH, (uint32_t)i};
    }
    qsort(candidates, group->count, sizeof *candidates, compare);
    for (size_t i = 0; i < group->count; i++)
        if (candidates[i].state <= DIRECTOR_FULL ||
            (candidates[0].state > DIRECTOR_FULL && candidates[i].state < DIRECTOR_DOWN))
            add_addresses(&answer, candidates[i].gateway);
    memory_free(candidates);
    const struct dns_addresses *old = atomic_load(&group->answer);
    if (old && memcmp(old, &answer, sizeof answer) == 0)
        return;
    struct dns_addresses *fresh = memory_raw(sizeof *fresh);
    memcpy(fresh, &answer, sizeof answer);
    snapshot_publish(&group->answer, fresh, memory_free);
}

void dnsd_assigned_rank(struct dnsd_assigned *assigned, const struct director_node_facts *gateways)
{
    for (size_t i = 0; i < assigned->count; i++)
        rank_group(&assigned->groups[i], gateways);
}

bool dnsd_assigned_find(const struct dnsd_assigned *assigned, uint32_t number,
                        struct dns_choice *choice)
{
    if (number < FIRST_NUMBER)
        return false;
    choice->addresses = snapshot_read(&assigned->groups[number - FIRST_NUMBER].answer);
    return true;
}
