/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing a server and its exit (H6, H9). What hangs on the client's network alone, the ways of all places in order, is ranked
 * when the table is made: for each measured network and for each one that the configuration speaks of. What hangs on the
 * servers alone, their weights, is added up by place. A choice walks the ways of a network as far as the candidates
 * go, adds their places' weights and draws. Equal facts and seeds give equal choices, wherever the table stands.
 */
#include "director/exits.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/prefix_tree.h"

#include <stdlib.h>

/* The servers of a service at one place. */
struct stand {
    uint32_t first, count; /* in the order of exits->order */
};

struct exits {
    struct exits_map map;
    uint32_t *internal_us, *between_us, *contact_us;
    struct node_border {
        uint32_t node, border;
    } * nodes; /* sorted */
    uint32_t node_count;
    struct exits_server *servers;
    size_t server_count;
    struct exits_service *services;
    size_t service_count;
    uint32_t *order;      /* servers: those of a service together, by place */
    struct stand *stands; /* [service that has servers][place] */
    uint32_t *stand_rows; /* of each service; EXITS_NONE */
    uint32_t stand_row_count;
    uint32_t way_count; /* of any network: places that have an exit */
    struct prefix_tree *stated;
    uint32_t *stated_pings;        /* [row][border]; row 0: nothing is known */
    struct exits_way *stated_ways; /* [row][way] */
    uint32_t stated_rows;
};

/* What a stand amounts to at this moment. */
struct amount {
    uint32_t weight; /* sum */
    uint32_t best;   /* greatest availability */
};

struct slot {
    uint64_t key;        /* family and prefix; 0: free */
    uint32_t row, round; /* in which it was measured last */
};

struct exits_table {
    const struct exits *exits;
    struct exits_table_counts counts;
    uint32_t *availability; /* of each server */
    uint32_t *cumulative;   /* by the order: weights of the stand up to this server */
    struct amount *amounts; /* [stand] */
    struct slot *slots;     /* measured networks */
    uint32_t slot_mask, rows_limit;
    struct exits_way *ways; /* [row][way] */
    uint32_t cursor, round; /* in the table of latencies: where the next slice begins */
};

/* ---- what is configured ---- */

static uint32_t *copy_numbers(const uint32_t *from, size_t count)
{
    uint32_t *copy = memory_new((count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, from, count * sizeof *copy);
    return copy;
}

static void take_map(struct exits *exits, const struct exits_map *from)
{
    INVARIANT(from->place_count <= EXITS_PLACES_LIMIT && from->border_count <= EXITS_BORDERS_LIMIT);
    exits->map = *from;
    exits->map.internal_us = exits->internal_us =
        copy_numbers(from->internal_us, (size_t)from->place_count * from->border_count);
    exits->map.between_us = exits->between_us =
        copy_numbers(from->between_us, (size_t)from->border_count * from->border_count);
    exits->map.contact_us = exits->contact_us = copy_numbers(from->contact_us, from->place_count);
}

static int compare_nodes(const void *left, const void *right)
{
    const struct node_border *a = left, *b = right;
    return a->node < b->node ? -1 : a->node > b->node;
}

static void take_nodes(struct exits *exits, const uint32_t *nodes)
{
    exits->nodes = memory_new((exits->map.border_count + 1) * sizeof *exits->nodes);
    for (uint32_t i = 0; i < exits->map.border_count; i++)
        if (nodes[i] != EXITS_NONE)
            exits->nodes[exits->node_count++] = (struct node_border){nodes[i], i};
    qsort(exits->nodes, exits->node_count, sizeof *exits->nodes, compare_nodes);
}

/* A counting sort by place, for each service; stable, so that the order is the configuration's. */
static void order_service(struct exits *exits, const struct exits_service *service,
                          struct stand *stands)
{
    uint32_t at = service->first_server;
    for (uint32_t place = 0; place < exits->map.place_count; place++) {
        stands[place].first = at;
        for (uint32_t i = 0; i < service->server_count; i++)
            if (exits->servers[service->first_server + i].place == place)
                exits->order[at++] = service->first_server + i;
        stands[place].count = at - stands[place].first;
    }
}

static void take_services(struct exits *exits, const struct exits_options *options)
{
    uint32_t places = exits->map.place_count;
    INVARIANT(options->server_count <= EXITS_SERVERS_LIMIT);
    INVARIANT(options->service_count <= EXITS_SERVICES_LIMIT);
    exits->server_count = options->server_count;
    exits->servers = memory_new((options->server_count + 1) * sizeof *exits->servers);
    for (size_t i = 0; i < options->server_count; i++)
        exits->servers[i] = options->servers[i];
    exits->service_count = options->service_count;
    exits->services = memory_new((options->service_count + 1) * sizeof *exits->services);
    exits->stand_rows = memory_new((options->service_count + 1) * sizeof *exits->stand_rows);
    exits->order = memory_new((options->server_count + 1) * sizeof *exits->order);
    for (size_t i = 0; i < options->service_count; i++) {
        exits->services[i] = options->services[i];
        bool has_servers = options->services[i].server_count != 0;
        exits->stand_rows[i] = has_servers ? exits->stand_row_count++ : EXITS_NONE;
    }
    exits->stands =
        memory_new(((size_t)exits->stand_row_count * places + 1) * sizeof *exits->stands);
    for (size_t i = 0; i < options->service_count; i++)
        if (exits->stand_rows[i] != EXITS_NONE)
            order_service(exits, &exits->services[i],
                          &exits->stands[(size_t)exits->stand_rows[i] * places]);
}

static void rank_pings(const struct exits *exits, const uint32_t *ping_us, struct exits_way *out)
{
    struct exits_times times;
    struct exits_way ways[EXITS_PLACES_LIMIT];
    exits_times_from_pings(&exits->map, ping_us, &times);
    uint32_t count = exits_rank(&exits->map, &times, ways);
    memcpy(out, ways, count * sizeof *ways);
}

static int compare_stated(const void *left, const void *right)
{
    const struct exits_stated *a = left, *b = right;
    if (a->network.bits != b->network.bits)
        return a->network.bits < b->network.bits ? -1 : 1;
    if (a->network.address.family != b->network.address.family)
        return a->network.address.family < b->network.address.family ? -1 : 1;
    return memcmp(a->network.address.bytes, b->network.address.bytes,
                  sizeof a->network.address.bytes);
}

/* The shortest networks first: a longer one begins with what is stated of the one around it. */
static void take_stated(struct exits *exits, const struct exits_stated *from, size_t count)
{
    uint32_t borders = exits->map.border_count;
    INVARIANT(count <= EXITS_STATED_LIMIT);
    struct exits_stated *sorted = memory_new((count + 1) * sizeof *sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = from[i];
    qsort(sorted, count, sizeof *sorted, compare_stated);
    exits->stated = prefix_tree_new();
    exits->stated_pings = memory_new((count + 1) * (borders + 1) * sizeof *exits->stated_pings);
    memset(exits->stated_pings, 0xff, borders * sizeof *exits->stated_pings); /* EXITS_NONE */
    exits->stated_rows = 1;
    for (size_t i = 0; i < count; i++) {
        bool is_new = i == 0 || compare_stated(&sorted[i - 1], &sorted[i]) != 0;
        if (is_new) {
            int64_t around = prefix_tree_find(exits->stated, &sorted[i].network.address, NULL);
            uint32_t row = exits->stated_rows++;
            memcpy(&exits->stated_pings[(size_t)row * borders],
                   &exits->stated_pings[(size_t)(around < 0 ? 0 : around) * borders],
                   borders * sizeof *exits->stated_pings);
            prefix_tree_put(exits->stated, &sorted[i].network, row);
        }
        exits->stated_pings[(size_t)(exits->stated_rows - 1) * borders + sorted[i].border] =
            sorted[i].ping_us;
    }
    prefix_tree_seal(exits->stated);
    memory_free(sorted);
}

struct exits *exits_new(const struct exits_options *options)
{
    struct exits *exits = NEW(struct exits);
    take_map(exits, &options->map);
    take_nodes(exits, options->nodes);
    take_services(exits, options);
    take_stated(exits, options->stated, options->stated_count);
    struct exits_times times = {0};
    struct exits_way ways[EXITS_PLACES_LIMIT];
    exits->way_count = exits_rank(&exits->map, &times, ways);
    exits->stated_ways = memory_new(((size_t)exits->stated_rows * exits->way_count + 1) *
                                    sizeof *exits->stated_ways);
    for (uint32_t row = 0; row < exits->stated_rows; row++)
        rank_pings(exits, &exits->stated_pings[(size_t)row * exits->map.border_count],
                   &exits->stated_ways[(size_t)row * exits->way_count]);
    return exits;
}

void exits_free(struct exits *exits)
{
    if (!exits)
        return;
    prefix_tree_free(exits->stated);
    memory_free(exits->internal_us);
    memory_free(exits->between_us);
    memory_free(exits->contact_us);
    memory_free(exits->nodes);
    memory_free(exits->servers);
    memory_free(exits->services);
    memory_free(exits->order);
    memory_free(exits->stands);
    memory_free(exits->stand_rows);
    memory_free(exits->stated_pings);
    memory_free(exits->stated_ways);
    memory_free(exits);
}

/* ---- servers at this moment ---- */

/* The service as a whole: who may be named. */
enum resort {
    RESORT_AVAILABLE, /* by availability */
    RESORT_BUSY,      /* nobody is available: all that are not dead, by weight alone */
    RESORT_DEAD,      /* nor alive: a name that may fail is better than none that can succeed */
    RESORT_NONE,      /* the administrator took all of them away */
};

static enum director_state worst_named(enum resort resort)
{
    return resort == RESORT_DEAD ? DIRECTOR_DEAD : DIRECTOR_DRAINING;
}

static enum resort find_resort(const struct exits_table *table, const struct exits_service *service,
                               const struct director_node_facts *servers)
{
    enum resort resort = RESORT_NONE;
    for (uint32_t i = 0; i < service->server_count; i++) {
        uint32_t server = service->first_server + i;
        enum director_state state = servers ? servers[server].state : DIRECTOR_UP;
        if (table->availability[server])
            return RESORT_AVAILABLE;
        if (state <= worst_named(RESORT_BUSY))
            resort = RESORT_BUSY;
        else if (state <= worst_named(RESORT_DEAD) && resort > RESORT_DEAD)
            resort = RESORT_DEAD;
    }
    return resort;
}

/* Availability, such as it is for a service that has nobody available. */
static uint32_t availability_as(enum resort resort, uint32_t availability,
                                const struct director_node_facts *facts)
{
    if (resort == RESORT_AVAILABLE)
        return availability;
    return resort != RESORT_NONE && facts->state <= worst_named(resort) ? AVAILABILITY_FULL : 0;
}

/* Of the servers of a stand: all that are available, or for EXITS_ORDER_SERVERS only the most available ones. */
static void weigh_stand(struct exits_table *table, const struct stand *stand,
                        const struct exits_service *service, enum resort resort,
                        const struct director_node_facts *facts, struct amount *amount)
{
    static const struct director_node_facts up = {.state = DIRECTOR_UP};
    const struct exits *exits = table->exits;
    *amount = (struct amount){0};
    for (uint32_t i = stand->first; i < stand->first + stand->count; i++) {
        uint32_t server = exits->order[i];
        uint32_t available =
            availability_as(resort, table->availability[server], facts ? &facts[server] : &up);
        if (available > amount->best)
            amount->best = available;
        table->cumulative[i] = available; /* for the pass below */
    }
    for (uint32_t i = stand->first; i < stand->first + stand->count; i++) {
        uint32_t available = table->cumulative[i], weight = exits->servers[exits->order[i]].weight;
        if (service->order == EXITS_ORDER_PATHS)
            amount->weight += available * weight;
        else if (available && available == amount->best)
            amount->weight += weight;
        table->cumulative[i] = amount->weight;
    }
}

static void weigh_service(struct exits_table *table, size_t index,
                          const struct director_node_facts *facts)
{
    const struct exits *exits = table->exits;
    const struct exits_service *service = &exits->services[index];
    uint32_t *availability = &table->availability[service->first_server];
    if (facts)
        exits_availability(service->policies, &facts[service->first_server], service->server_count,
                           availability);
    else
        for (uint32_t i = 0; i < service->server_count; i++)
            availability[i] = AVAILABILITY_FULL;
    enum resort resort = find_resort(table, service, facts);
    table->counts.busy += resort == RESORT_BUSY;
    table->counts.forsaken += resort > RESORT_BUSY;
    size_t first = (size_t)exits->stand_rows[index] * exits->map.place_count;
    for (uint32_t place = 0; place < exits->map.place_count; place++)
        weigh_stand(table, &exits->stands[first + place], service, resort, facts,
                    &table->amounts[first + place]);
}

/* ---- measured networks ---- */

/* Never 0: the family is in it. */
static uint64_t key_of(const struct address *client)
{
    uint64_t key = 0;
    memcpy(&key, client->bytes, client->family == 4 ? 3 : 6);
    return key << 8 | client->family;
}

static struct slot *find_slot(const struct exits_table *table, uint64_t key)
{
    uint64_t mixed = (key ^ key >> 29) * 0x9e3779b97f4a7c15ull;
    uint32_t at = (uint32_t)(mixed >> 32) & table->slot_mask;
    while (table->slots[at].key && table->slots[at].key != key)
        at = (at + 1) & table->slot_mask;
    return &table->slots[at];
}

static const struct node_border *find_node(const struct exits *exits, uint32_t node)
{
    const struct node_border wanted = {.node = node};
    return bsearch(&wanted, exits->nodes, exits->node_count, sizeof wanted, compare_nodes);
}

static const uint32_t *stated_pings(const struct exits *exits, const struct address *client)
{
    int64_t row = prefix_tree_find(exits->stated, client, NULL);
    return &exits->stated_pings[(size_t)(row < 0 ? 0 : row) * exits->map.border_count];
}

/* Real visitors outrank probes, and both what the configuration states. False: there is nothing of them. */
static bool measured_pings(const struct exits *exits, const struct exits_facts *facts,
                           const struct address *client, uint32_t *ping_us)
{
    bool is_passive[EXITS_BORDERS_LIMIT] = {false}, is_measured = false;
    struct latency_row row;
    for (uint32_t at = latency_table_first(facts->latencies, client); at != LATENCY_END;) {
        at = latency_table_next(facts->latencies, at, &row);
        const struct node_border *known = find_node(exits, row.node);
        if (!known || row.value.taken_ns + facts->latency_age_ns < facts->now_ns ||
            is_passive[known->border])
            continue;
        if (!is_measured)
            memcpy(ping_us, stated_pings(exits, client), exits->map.border_count * sizeof *ping_us);
        is_measured = true;
        is_passive[known->border] = row.source == LATENCY_PASSIVE;
        ping_us[known->border] = row.value.is_silent ? EXITS_SILENT_US : row.value.rtt_us;
    }
    return is_measured;
}

static void make_room(struct exits_table *table, size_t networks)
{
    table->rows_limit =
        networks < EXITS_NETWORKS_LIMIT ? (uint32_t)networks : (uint32_t)EXITS_NETWORKS_LIMIT;
    table->slot_mask = 15;
    while (table->slot_mask < table->rows_limit * 2)
        table->slot_mask = table->slot_mask * 2 + 1;
    table->slots = memory_new(((size_t)table->slot_mask + 1) * sizeof *table->slots);
    table->ways =
        memory_raw(((size_t)table->rows_limit * table->exits->way_count + 1) * sizeof *table->ways);
}

/* The network's ways, to be written; NULL: there is no room. */
static struct exits_way *put_network(struct exits_table *table, uint64_t key, uint32_t round)
{
    struct slot *slot = find_slot(table, key);
    if (!slot->key && table->counts.networks == table->rows_limit)
        return NULL;
    if (!slot->key)
        *slot = (struct slot){.key = key, .row = (uint32_t)table->counts.networks++};
    slot->round = round;
    return &table->ways[(size_t)slot->row * table->exits->way_count];
}

static void take_over(struct exits_table *table, const struct exits_table *previous)
{
    size_t bytes = table->exits->way_count * sizeof *table->ways;
    table->cursor = previous->cursor;
    table->round = previous->round;
    for (uint32_t i = 0; i <= previous->slot_mask; i++) {
        const struct slot *slot = &previous->slots[i];
        if (!slot->key || previous->round - slot->round > 1)
            continue;
        struct exits_way *ways = put_network(table, slot->key, slot->round);
        if (ways)
            memcpy(ways, &previous->ways[(size_t)slot->row * table->exits->way_count], bytes);
    }
}

static void look_at_slice(struct exits_table *table, const struct exits_facts *facts,
                          uint32_t slots, uint32_t slice)
{
    uint32_t ping_us[EXITS_BORDERS_LIMIT];
    struct latency_activity activity;
    for (uint32_t i = 0; i < slots && i < slice; i++) {
        if (table->cursor >= slots) {
            table->cursor = 0;
            table->round++;
        }
        if (!latency_table_slot(facts->latencies, table->cursor++, facts->now_ns, &activity) ||
            !measured_pings(table->exits, facts, &activity.network.address, ping_us))
            continue;
        struct exits_way *ways =
            put_network(table, key_of(&activity.network.address), table->round);
        if (ways)
            rank_pings(table->exits, ping_us, ways);
        else
            table->counts.passed_over++;
    }
}

static void take_measured(struct exits_table *table, const struct exits_facts *facts,
                          const struct exits_table *previous)
{
    bool is_measured = table->exits->node_count && facts->latencies;
    uint32_t slots = is_measured ? latency_table_slots(facts->latencies) : 0;
    uint32_t slice = previous ? EXITS_SLICE : EXITS_NETWORKS_LIMIT;
    make_room(table, (previous ? previous->counts.networks : 0) + (slots < slice ? slots : slice));
    if (previous)
        take_over(table, previous);
    look_at_slice(table, facts, slots, slice);
}

/* ---- the table ---- */

struct exits_table *exits_table_new(const struct exits *exits, const struct exits_facts *facts,
                                    const struct exits_table *previous)
{
    struct exits_table *table = NEW(struct exits_table);
    table->exits = exits;
    table->availability = memory_new((exits->server_count + 1) * sizeof *table->availability);
    table->cumulative = memory_new((exits->server_count + 1) * sizeof *table->cumulative);
    table->amounts = memory_new(((size_t)exits->stand_row_count * exits->map.place_count + 1) *
                                sizeof *table->amounts);
    for (size_t i = 0; i < exits->service_count; i++)
        if (exits->stand_rows[i] != EXITS_NONE)
            weigh_service(table, i, facts->servers);
    take_measured(table, facts, previous && previous->exits == exits ? previous : NULL);
    return table;
}

void exits_table_free(struct exits_table *table)
{
    if (!table)
        return;
    memory_free(table->availability);
    memory_free(table->cumulative);
    memory_free(table->amounts);
    memory_free(table->slots);
    memory_free(table->ways);
    memory_free(table);
}

uint32_t exits_table_ways(const struct exits_table *table, const struct address *client,
                          const struct exits_way **ways)
{
    const struct exits *exits = table->exits;
    const struct slot *slot = find_slot(table, key_of(client));
    int64_t row = slot->key ? -1 : prefix_tree_find(exits->stated, client, NULL);
    *ways = slot->key ? &table->ways[(size_t)slot->row * exits->way_count]
                      : &exits->stated_ways[(size_t)(row < 0 ? 0 : row) * exits->way_count];
    return exits->way_count;
}

uint32_t exits_table_availability(const struct exits_table *table, uint32_t server)
{
    return table->availability[server];
}

struct exits_table_counts exits_table_counts(const struct exits_table *table)
{
    return table->counts;
}

/* ---- a choice ---- */

/* Places in the draw, each with its weight; those of one draw are the places of one group. */
struct draw {
    uint64_t total;
    uint64_t weights[EXITS_PLACES_LIMIT]; /* [way] */
    uint32_t from, to;                    /* ways */
};

/* Thousandths: how a way compares to the best one. */
static uint32_t share_of(const struct exits_service *service, const struct exits_way *best,
                         const struct exits_way *way)
{
    if (!(service->policies >> EXITS_BY_ICMP & 1) || !way->metric_us)
        return AVAILABILITY_FULL;
    uint64_t share = (uint64_t)best->metric_us * AVAILABILITY_FULL / way->metric_us;
    return share ? (uint32_t)share : 1;
}

/* Group by group: the best way that is left, and those within the factor of it. */
static void draw_by_path(const struct exits_service *service, const struct stand *stands,
                         const struct amount *amounts, const struct exits_way *ways, uint32_t count,
                         struct draw *draw)
{
    const struct exits_way *best = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = ways[i].place;
        draw->weights[i] = 0;
        if (!stands[place].count)
            continue;
        bool is_within = best && (uint64_t)ways[i].metric_us * EXITS_FACTOR_ONE <=
                                     (uint64_t)best->metric_us * service->fuzz;
        if (!is_within && draw->total)
            return;
        if (!is_within) {
            best = &ways[i];
            draw->from = i;
        }
        draw->weights[i] = (uint64_t)amounts[place].weight * share_of(service, best, &ways[i]);
        draw->total += draw->weights[i];
        draw->to = i + 1;
    }
}

/* The most available server wherever it stands. */
static void draw_by_server(const struct exits_service *service, const struct amount *amounts,
                           const struct exits_way *ways, uint32_t count, struct draw *draw)
{
    uint32_t greatest = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value = amounts[ways[i].place].best * share_of(service, &ways[0], &ways[i]);
        draw->weights[i] = value ? amounts[ways[i].place].weight : 0;
        if (value > greatest) {
            greatest = value;
            draw->total = 0;
            draw->from = i;
        }
        if (value < greatest || !value)
            draw->weights[i] = 0;
        draw->total += draw->weights[i];
    }
    draw->to = count;
}

/* The server of a stand whose weight holds `at`. */
static uint32_t server_at(const struct exits_table *table, const struct stand *stand, uint64_t at)
{
    uint32_t low = stand->first, high = stand->first + stand->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->cumulative[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return table->exits->order[low];
}

/* False: the service has no server that may be named. */
static bool make_draw(const struct exits_table *table, uint32_t service_index,
                      const struct address *client, const struct exits_way **ways,
                      struct draw *draw)
{
    const struct exits *exits = table->exits;
    if (service_index >= exits->service_count || exits->stand_rows[service_index] == EXITS_NONE)
        return false;
    const struct exits_service *service = &exits->services[service_index];
    size_t row = (size_t)exits->stand_rows[service_index] * exits->map.place_count;
    uint32_t count = exits_table_ways(table, client, ways);
    draw->total = 0;
    draw->from = draw->to = 0;
    if (service->order == EXITS_ORDER_PATHS)
        draw_by_path(service, &exits->stands[row], &table->amounts[row], *ways, count, draw);
    else
        draw_by_server(service, &table->amounts[row], *ways, count, draw);
    return draw->total;
}

bool exits_table_chances(const struct exits_table *table, uint32_t service,
                         const struct address *client, uint32_t chances[EXITS_PLACES_LIMIT])
{
    const struct exits_way *ways;
    struct draw draw;
    bool has_choice = make_draw(table, service, client, &ways, &draw);
    for (uint32_t i = 0; i < table->exits->way_count; i++)
        chances[i] = has_choice && i >= draw.from && i < draw.to
                         ? (uint32_t)(draw.weights[i] * 1000 / draw.total)
                         : 0;
    return has_choice;
}

bool exits_table_choose(const struct exits_table *table, uint32_t service_index,
                        const struct address *client, struct random *random,
                        struct exits_choice *choice)
{
    const struct exits *exits = table->exits;
    const struct exits_way *ways;
    struct draw draw;
    if (!make_draw(table, service_index, client, &ways, &draw))
        return false;
    size_t row = (size_t)exits->stand_rows[service_index] * exits->map.place_count;
    const struct stand *stands = &exits->stands[row];
    const struct amount *amounts = &table->amounts[row];
    uint64_t at = random_below(random, draw.total);
    for (uint32_t i = draw.from; i < draw.to; i++) {
        if (at >= draw.weights[i]) {
            at -= draw.weights[i];
            continue;
        }
        uint32_t place = ways[i].place;
        at /= draw.weights[i] / amounts[place].weight; /* the share of the way */
        *choice = (struct exits_choice){server_at(table, &stands[place], at), ways[i].border,
                                        ways[i].metric_us};
        return true;
    }
    INVARIANT(false); /* the weights add up to the total */
    return false;
}
