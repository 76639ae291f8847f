/* SPDX-License-Identifier: Apache-2.0
 *
 * The policies for servers (H4): what each of them looks at is one row, and any of them combine, because each says how
 * a server compares to the best. The product is its availability, by which H6 draws.
 */
#include "director/exits.h"

enum { UNKNOWN_SHARE = AVAILABILITY_FULL / 2 };

/* Greater is better; UINT64_MAX: not known. */
static uint64_t capacity_left(const struct director_load *load)
{
    if (load->load == LOAD_UNKNOWN)
        return UINT64_MAX;
    return load->load < LOAD_FULL ? LOAD_FULL - load->load : 0;
}

/* One more than there are: without any it is not infinitely better than with one. */
static uint64_t connections(const struct director_load *load)
{
    return load->connections == UINT32_MAX ? UINT64_MAX : (uint64_t)load->connections + 1;
}

static uint64_t free_ram(const struct director_load *load)
{
    return load->free_ram_bytes;
}

static uint64_t free_swap(const struct director_load *load)
{
    return load->free_swap_bytes;
}

static uint64_t cpu_idle(const struct director_load *load)
{
    return load->cpu_idle == LOAD_UNKNOWN ? UINT64_MAX : load->cpu_idle;
}

static const struct {
    const char *name;
    uint64_t (*value)(const struct director_load *load); /* NULL: not of the server alone */
    bool is_less_better;
} policies_known[EXITS_POLICIES] = {
#define X(id, text) [EXITS_BY_##id].name = (text),
    EXITS_POLICY_LIST(X)
#undef X
        [EXITS_BY_LOAD]
            .value = capacity_left,
    [EXITS_BY_CONNECTIONS].value = connections,
    [EXITS_BY_CONNECTIONS].is_less_better = true,
    [EXITS_BY_RAM].value = free_ram,
    [EXITS_BY_SWAP].value = free_swap,
    [EXITS_BY_CPU].value = cpu_idle,
};

/* What is full of something that no policy looks at is not busy. */
static bool is_busy(unsigned policies, const struct director_node_facts *server)
{
    bool is_full = (policies >> EXITS_BY_LOAD & 1) && capacity_left(&server->load) == 0;
    return server->state != DIRECTOR_UP || is_full;
}

static uint64_t best_value(enum exits_policy policy, const struct director_node_facts *servers,
                           const uint32_t *availability, size_t count)
{
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = policies_known[policy].value(&servers[i].load);
        if (!availability[i] || value == UINT64_MAX)
            continue;
        bool is_better = policies_known[policy].is_less_better ? value < best : value > best;
        if (best == UINT64_MAX || is_better)
            best = value;
    }
    return best;
}

/* Thousandths of the best, never 0: by comparison alone nobody is busy. */
static uint32_t share(enum exits_policy policy, uint64_t value, uint64_t best)
{
    if (value == UINT64_MAX || best == UINT64_MAX)
        return best == UINT64_MAX ? AVAILABILITY_FULL : UNKNOWN_SHARE;
    bool is_inverse = policies_known[policy].is_less_better;
    uint64_t part = is_inverse ? best : value, whole = is_inverse ? value : best;
    if (whole == 0 || part >= whole)
        return AVAILABILITY_FULL;
    double share = (double)part / (double)whole * AVAILABILITY_FULL;
    return share < 1 ? 1 : (uint32_t)share;
}

void exits_availability(unsigned policies, const struct director_node_facts *servers, size_t count,
                        uint32_t *availability)
{
    for (size_t i = 0; i < count; i++)
        availability[i] = is_busy(policies, &servers[i]) ? 0 : AVAILABILITY_FULL;
    for (unsigned policy = 0; policy < EXITS_POLICIES; policy++) {
        if (!(policies >> policy & 1) || !policies_known[policy].value)
            continue;
        uint64_t best = best_value(policy, servers, availability, count);
        for (size_t i = 0; i < count; i++) {
            if (!availability[i])
                continue;
            uint64_t value = policies_known[policy].value(&servers[i].load);
            uint32_t product = availability[i] * share(policy, value, best) / AVAILABILITY_FULL;
            availability[i] = product ? product : 1;
        }
    }
}
