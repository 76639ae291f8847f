/* SPDX-License-Identifier: Apache-2.0
 *
 * From a client to the number that its rows have. Networks that are measured have numbers of their own, the most active ones, in a
 * set-associative table: a number is a place in it, so that a look-up is one line of memory, and nothing has to be rebuilt when one network
 * takes the place of another. All others go by the area of their place, and their class.
 */
#include "director/private.h"

#include "base/memory.h"

enum {
    SWEEP = 2048,        /* slots of the table of round trips, in a tick: at most, */
    EXPECTED_GROUPS = 4, /* whose rows are fetched for a query before its name is known */
    AHEAD = 8,           /* slots of a sweep whose memory is on its way */
    SWEEP_TICKS = DIRECTOR_ROUND_NS / DIRECTOR_TICK_NS, /* and not faster than all in a round */
};

static uint64_t key_of(const struct address *client)
{
    uint64_t key = client->family;
    for (int i = 0; i < (client->family == 4 ? 3 : 6); i++)
        key = key << 8 | client->bytes[i];
    return key;
}

static uint32_t mix(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15ull;
    key ^= key >> 32;
    key *= 0x9e3779b97f4a7c15ull;
    return (uint32_t)(key >> 32);
}

/* Resolvers of one network (/24, /48) share a class, so that they agree and their clients keep their edges. */
uint32_t networks_class(const struct director *director, const struct address *client)
{
    return (uint32_t)((uint64_t)mix(key_of(client)) * director->classes >> 32);
}

/* Classes spread evenly over the orders among equals; and in a golden section's steps over who is shed first, so that each order
 * is shed in part. */
static struct lot lot_of_class(const struct director *director, uint32_t class)
{
    double golden = class * 0.6180339887498949;
    return (struct lot){((float)class + 0.5f) / (float)director->classes,
                        (float)(golden - (double)(uint32_t)golden)};
}

struct lot networks_lot(const struct director *director, uint32_t number)
{
    if (number < director->wide_count)
        return lot_of_class(director, number % director->classes);
    const struct tracked_state *state = &director->tracked_states[number - director->wide_count];
    return lot_of_class(director, networks_class(director, &state->address));
}

/* ---- looking up ---- */

static uint32_t set_of(const struct director *director, uint64_t key)
{
    return (mix(key ^ 0x5bd1e995) & director->set_mask) * WAYS;
}

static uint32_t find_tracked(const struct director *director, uint64_t key)
{
    uint32_t set = set_of(director, key);
    for (uint32_t i = set; i < set + WAYS; i++)
        if (atomic_load_explicit(&director->tracked[i].key, memory_order_acquire) == key)
            return i;
    return UINT32_MAX;
}

static void expect_key(const struct director *director, uint64_t key)
{
    __builtin_prefetch(&director->tracked[set_of(director, key)]);
}

/* The rows of a set lie together. Of more groups than these nobody knows yet which one is asked for. */
void networks_expect(const struct director *director, const struct address *client)
{
    if (!director->tracked_count)
        return;
    uint32_t set = set_of(director, key_of(client));
    const struct row *rows = &director->rows[row_at(director, director->wide_count + set, 0)];
    __builtin_prefetch(&director->tracked[set]);
    for (uint32_t i = 0; director->group_count <= EXPECTED_GROUPS && i < director->group_count; i++)
        for (int line = 0; line < 2; line++)
            __builtin_prefetch(&rows[i * WAYS + (uint32_t)line * WAYS / 2]);
}

static uint32_t area_of(const struct director *director, const struct address *client)
{
    return director->area_of_place[maps_find(director->maps, client, NULL)];
}

struct area networks_home(const struct director *director, const struct address *client)
{
    uint32_t number = maps_find(director->maps, client, NULL);
    const struct maps_place *place = maps_place(director->maps, number);
    struct area home = director->areas[director->area_of_place[number]];
    if (maps_point_is_known(place->point))
        point_on_sphere(place->point, home.point);
    return home;
}

uint32_t networks_number(const struct director *director, const struct address *client,
                         unsigned bits, uint8_t *scope_bits)
{
    unsigned network_bits = client->family == 4 ? 24 : 48, map_bits;
    if (scope_bits)
        *scope_bits = (uint8_t)network_bits;
    if (bits >= network_bits) {
        uint32_t tracked = find_tracked(director, key_of(client));
        if (tracked != UINT32_MAX)
            return director->wide_count + tracked;
    }
    uint32_t place = maps_find(director->maps, client, &map_bits);
    if (scope_bits && map_bits > network_bits)
        *scope_bits = (uint8_t)map_bits;
    return director->area_of_place[place] * director->classes + networks_class(director, client);
}

/* ---- giving numbers ---- */

static void set_key(struct director *director, uint32_t tracked, uint64_t key)
{
    atomic_store_explicit(&director->tracked[tracked].key, key, memory_order_release);
}

static uint64_t get_key(const struct director *director, uint32_t tracked)
{
    return atomic_load_explicit(&director->tracked[tracked].key, memory_order_relaxed);
}

static void demote(struct director *director, uint32_t tracked)
{
    set_key(director, tracked, 0);
    director->figures.networks--;
    director->figures.demoted++;
}

/* A free place, or that of a network of less than half the activity, or UINT32_MAX. */
static uint32_t find_room(const struct director *director, uint64_t key, uint32_t activity)
{
    uint32_t set = set_of(director, key), least = set;
    for (uint32_t i = set; i < set + WAYS; i++) {
        if (!get_key(director, i))
            return i;
        if (director->tracked_states[i].activity < director->tracked_states[least].activity)
            least = i;
    }
    return director->tracked_states[least].activity < activity / 2 ? least : UINT32_MAX;
}

/* What its clients were answered so far goes on as the incumbent. */
static void take_rows_of_area(struct director *director, uint32_t number, uint32_t wide)
{
    for (uint32_t group = 0; group < director->group_count; group++) {
        const struct row *from = &director->rows[row_at(director, wide, group)];
        struct row *to = &director->rows[row_at(director, number, group)];
        for (int i = 0; i < ROW_MEMBERS / 4; i++)
            atomic_store_explicit(&to->words[i],
                                  atomic_load_explicit(&from->words[i], memory_order_relaxed),
                                  memory_order_relaxed);
        director->row_states[row_at(director, number, group)] =
            (struct row_state){.challenger = MEMBER_NONE, .shed = MEMBER_NONE};
    }
}

/* Its rows are ranked before anybody finds them. */
static uint32_t promote(struct director *director, const struct director_facts *facts,
                        uint32_t tracked, const struct latency_activity *activity)
{
    const struct address *address = &activity->network.address;
    if (get_key(director, tracked))
        demote(director, tracked);
    uint32_t number = director->wide_count + tracked, group = 0, evaluated = 0;
    director->tracked_states[tracked] =
        (struct tracked_state){*address, networks_home(director, address),
                               area_of(director, address), activity->samples};
    take_rows_of_area(director, number, networks_number(director, address, 0, NULL));
    while (group < director->group_count)
        evaluated += rank_number(director, facts, number, &group, UINT32_MAX);
    set_key(director, tracked, key_of(address));
    director->figures.networks++;
    director->figures.promoted++;
    return evaluated;
}

static uint32_t sweep_one(struct director *director, const struct director_facts *facts,
                          const struct latency_activity *activity)
{
    uint64_t key = key_of(&activity->network.address);
    uint32_t tracked = find_tracked(director, key);
    if (tracked != UINT32_MAX) {
        director->tracked_states[tracked].activity = activity->samples;
        return 0;
    }
    tracked = find_room(director, key, activity->samples);
    return tracked == UINT32_MAX ? 0 : promote(director, facts, tracked, activity);
}

/* Reads as many slots before it works on them, so that their places in the table are on their way together. */
static uint32_t sweep_slots(struct director *director, const struct director_facts *facts,
                            uint32_t first, uint32_t count)
{
    struct latency_activity found[AHEAD];
    uint32_t evaluated = 0, used = 0;
    for (uint32_t slot = first; slot < first + count; slot++)
        if (latency_table_slot(facts->latencies, slot, facts->now_ns, &found[used]))
            expect_key(director, key_of(&found[used++].network.address));
    for (uint32_t i = 0; i < used; i++)
        evaluated += sweep_one(director, facts, &found[i]);
    return evaluated;
}

uint32_t networks_sweep(struct director *director, const struct director_facts *facts,
                        uint32_t budget)
{
    uint32_t slots = facts->latencies ? latency_table_slots(facts->latencies) : 0, evaluated = 0;
    uint32_t step = slots / SWEEP_TICKS + 1 < SWEEP ? slots / SWEEP_TICKS + 1 : (uint32_t)SWEEP;
    uint32_t most = budget == UINT32_MAX || slots < step ? slots : step;
    if (!director->tracked_count)
        return 0;
    for (uint32_t i = 0, count; i < most && evaluated < budget; i += count) {
        if (director->next_slot >= slots)
            director->next_slot = 0;
        count = most - i < AHEAD ? most - i : (uint32_t)AHEAD;
        if (count > slots - director->next_slot)
            count = slots - director->next_slot;
        evaluated += sweep_slots(director, facts, director->next_slot, count);
        director->next_slot += count;
    }
    return evaluated;
}

void networks_ahead(const struct director *director, const struct director_facts *facts,
                    uint32_t number)
{
    uint32_t tracked = number - director->wide_count;
    if (!facts->latencies || tracked + 2 >= director->tracked_count)
        return;
    if (get_key(director, tracked + 2))
        latency_table_expect(facts->latencies, &director->tracked_states[tracked + 2].address, 2);
    if (get_key(director, tracked + 1))
        latency_table_expect(facts->latencies, &director->tracked_states[tracked + 1].address, 1);
}

bool networks_keep(struct director *director, const struct director_facts *facts, uint32_t number)
{
    uint32_t tracked = number - director->wide_count;
    if (!get_key(director, tracked))
        return false;
    const struct address *address = &director->tracked_states[tracked].address;
    if (facts->latencies && latency_table_first(facts->latencies, address) != LATENCY_END)
        return true;
    demote(director, tracked);
    return false;
}

/* ---- the table ---- */

void networks_make(struct director *director, uint32_t limit)
{
    if (limit < WAYS)
        return;
    while ((uint64_t)(director->set_mask * 2 + 2) * WAYS <= limit)
        director->set_mask = director->set_mask * 2 + 1;
    director->tracked_count = (director->set_mask + 1) * WAYS;
    director->tracked = memory_new_aligned(director->tracked_count * sizeof *director->tracked);
    director->tracked_states =
        memory_new(director->tracked_count * sizeof *director->tracked_states);
}

void networks_clear(struct director *director)
{
    memory_free(director->tracked);
    memory_free(director->tracked_states);
}
