/* SPDX-License-Identifier: Apache-2.0
 *
 * The look-up of a query: number, row, whoever may be used of it now, addresses. By any thread, while the tick writes: a
 * row whose halves are of two rankings is a row of good edges all the same.
 */
#include "director/private.h"

enum { SPARES_TRIED = 64 };

struct answer {
    const struct director *director;
    const struct group *group;
    const _Atomic uint8_t *standings; /* of the group */
    struct dns_addresses *addresses;
    unsigned most; /* of each family */
    uint16_t taken[ROW_MEMBERS + SPARES_TRIED];
    unsigned taken_count;
};

/* A family that no edge of the site has is not looked for. */
static bool is_whole(const struct answer *answer)
{
    return (answer->addresses->ipv4_count >= answer->most || !answer->group->has_ipv4) &&
           (answer->addresses->ipv6_count >= answer->most || !answer->group->has_ipv6);
}

static bool is_taken(const struct answer *answer, uint16_t member)
{
    for (unsigned i = 0; i < answer->taken_count; i++)
        if (answer->taken[i] == member)
            return true;
    return false;
}

static void take(struct answer *answer, uint16_t member)
{
    struct dns_addresses *to = answer->addresses;
    const struct edge *edge = &answer->director->edges[answer->group->edges[member]];
    bool gives_ipv4 = edge->has_ipv4 && to->ipv4_count < answer->most;
    bool gives_ipv6 = edge->has_ipv6 && to->ipv6_count < answer->most;
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

static void take_all(struct answer *answer, const uint16_t members[ROW_MEMBERS],
                     enum standing standing)
{
    for (int i = 0; i < ROW_MEMBERS && members[i] != MEMBER_NONE && !is_whole(answer); i++)
        if (standing_of(answer, members[i]) == standing)
            take(answer, members[i]);
}

/* Most of a row died since it was ranked, or what is left lacks a family of addresses. Others stand in until the next round,
 * not the same ones for everybody. */
static void take_spares(struct answer *answer, uint32_t number)
{
    uint32_t count = answer->group->count;
    for (uint32_t i = 0; i < count && i < SPARES_TRIED && !is_whole(answer); i++) {
        uint16_t member = (uint16_t)((number + i) % count);
        if (standing_of(answer, member) == STANDING_GOOD)
            take(answer, member);
    }
}

static void answer_from(struct answer *answer, const uint16_t members[ROW_MEMBERS], uint32_t number)
{
    take_all(answer, members, STANDING_GOOD);
    if (!is_whole(answer))
        take_all(answer, members, STANDING_FULL);
    if (!is_whole(answer) && answer->group->count > ROW_MEMBERS)
        take_spares(answer, number);
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
                            .addresses = addresses,
                            .most = site->answers};
    uint32_t number = networks_number(director, client, bits, scope_bits);
    uint16_t members[ROW_MEMBERS];
    addresses->ttl_s = site->ttl_s;
    addresses->ipv4_count = addresses->ipv6_count = 0;
    if (group->count < 2)
        *scope_bits = 0;
    row_load(&director->rows[row_at(director, number, site->group)], members);
    answer_from(&answer, members, number);
    return addresses->ipv4_count || addresses->ipv6_count || !group->fails_closed;
}

size_t find_edges(const struct sight *sight, unsigned answers, uint32_t number,
                  const uint16_t members[ROW_MEMBERS], uint32_t edges[ROW_MEMBERS])
{
    struct dns_addresses addresses = {0};
    struct answer answer = {.director = sight->director,
                            .group = sight->group,
                            .standings = sight->standings,
                            .addresses = &addresses,
                            .most = answers};
    answer_from(&answer, members, number);
    size_t count = 0;
    for (; count < answer.taken_count && count < ROW_MEMBERS; count++)
        edges[count] = sight->group->edges[answer.taken[count]];
    return count;
}
