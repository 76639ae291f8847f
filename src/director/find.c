/* SPDX-License-Identifier: Apache-2.0
 *
 * The look-up of a query: number, row, whoever may be used of it now, addresses. By any thread, while the tick writes: a
 * row whose halves are of two rankings is a row of good edges all the same.
 */
#include "director/private.h"

enum {
    SPARES_TRIED = 64,
    LEAST = 2, /* of each family, if need be of edges that are far or full */
};

struct answer {
    const struct director *director;
    const struct group *group;
    const _Atomic uint8_t *standings; /* of the group */
    struct dns_addresses *addresses;
    unsigned most, least; /* of each family; `least` with those that are far or full */
    uint16_t taken[ROW_MEMBERS + SPARES_TRIED];
    unsigned taken_count;
};

/* A family that no edge of the site has is not looked for. */
static bool has(const struct answer *answer, unsigned count)
{
    return (answer->addresses->ipv4_count >= count || !answer->group->has_ipv4) &&
           (answer->addresses->ipv6_count >= count || !answer->group->has_ipv6);
}

static bool is_taken(const struct answer *answer, uint16_t member)
{
    for (unsigned i = 0; i < answer->taken_count; i++)
        if (answer->taken[i] == member)
            return true;
    return false;
}

static void take(struct answer *answer, uint16_t member, unsigned most)
{
    struct dns_addresses *to = answer->addresses;
    const struct edge *edge = &answer->director->edges[answer->group->edges[member]];
    bool gives_ipv4 = edge->has_ipv4 && to->ipv4_count < most;
    bool gives_ipv6 = edge->has_ipv6 && to->ipv6_count < most;
    if ((!gives_ipv4 && !gives_ipv6) || is_taken(answer, member))
        return;
    answer->taken[answer->taken_count++] = member;
    if (gives_ipv4)
        memcpy(to->ipv4[to->ipv4_count++], edge->ipv4, sizeof edge->ipv4);
    if (gives_ipv6)
        memcpy(to->ipv6[to->ipv6_count++], edge->ipv6, sizeof edge->ipv6);
}

static enum standing standing_of(const struct answer *answer, uint16_t member)
{
    return (enum standing)atomic_load_explicit(&answer->standings[member], memory_order_relaxed);
}

static void take_good(struct answer *answer, const uint16_t places[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS && places[i] != MEMBER_NONE && !has(answer, answer->most);
         i++) {
        uint16_t member = row_member(places[i]);
        if (standing_of(answer, member) == STANDING_GOOD)
            take(answer, member, places[i] & MEMBER_FAR ? answer->least : answer->most);
    }
}

static void take_full(struct answer *answer, const uint16_t places[ROW_MEMBERS])
{
    for (int i = 0; i < ROW_MEMBERS && places[i] != MEMBER_NONE && !has(answer, answer->least); i++)
        if (standing_of(answer, row_member(places[i])) == STANDING_FULL)
            take(answer, row_member(places[i]), answer->least);
}

/* Most of a row died since it was ranked, or what is left lacks a family of addresses. Others stand in until the next round,
 * not the same ones for everybody. */
static void take_spares(struct answer *answer, uint32_t number)
{
    uint32_t count = answer->group->count;
    for (uint32_t i = 0; i < count && i < SPARES_TRIED && !has(answer, answer->least); i++) {
        uint16_t member = (uint16_t)((number + i) % count);
        if (standing_of(answer, member) == STANDING_GOOD)
            take(answer, member, answer->least);
    }
}

static void answer_from(struct answer *answer, unsigned most, const uint16_t places[ROW_MEMBERS],
                        uint32_t number)
{
    answer->most = most;
    answer->least = most < LEAST ? most : (unsigned)LEAST;
    take_good(answer, places);
    take_full(answer, places);
    if (!has(answer, answer->least) && answer->group->count > ROW_MEMBERS)
        take_spares(answer, number);
}

void director_expect(const struct director *director, const struct address *client)
{
    networks_expect(director, client);
}

bool director_find(const struct director *director, uint32_t number_of_site,
                   const struct address *client, unsigned bits, struct dns_addresses *addresses,
                   uint8_t *scope_bits)
{
    if (number_of_site >= director->site_count)
        return false;
    const struct site *site = &director->sites[number_of_site];
    const struct group *group = &director->groups[site->group];
    struct answer answer = {.director = director,
                            .group = group,
                            .standings = &director->standings[group->first],
                            .addresses = addresses};
    uint32_t number = networks_number(director, client, bits, scope_bits);
    uint16_t places[ROW_MEMBERS];
    addresses->ttl_s = site->ttl_s;
    addresses->ipv4_count = addresses->ipv6_count = 0;
    if (group->count < 2)
        *scope_bits = 0;
    row_load(&director->rows[row_at(director, number, site->group)], places);
    answer_from(&answer, site->answers, places, number);
    return addresses->ipv4_count || addresses->ipv6_count || !group->fails_closed;
}

size_t find_edges(const struct sight *sight, unsigned answers, uint32_t number,
                  const uint16_t places[ROW_MEMBERS], uint32_t edges[ROW_MEMBERS])
{
    struct dns_addresses addresses = {0};
    struct answer answer = {.director = sight->director,
                            .group = sight->group,
                            .standings = sight->standings,
                            .addresses = &addresses};
    answer_from(&answer, answers, places, number);
    size_t count = 0;
    for (; count < answer.taken_count && count < ROW_MEMBERS; count++)
        edges[count] = sight->group->edges[answer.taken[count]];
    return count;
}
