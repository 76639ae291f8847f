/* SPDX-License-Identifier: Apache-2.0
 *
 * The generator: continents, cities of very different sizes, providers that take detours.
 */
#include "geography.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>

enum { CONTINENTS = 6, CITIES = 240, PROVIDERS = 4 /* in each city */ };

static const double pi = 3.14159265358979;
static const double continent_spread = 13, edge_spread = 0.3, network_spread = 1.2; /* degrees */
static const double last_mile_least_ms = 2, last_mile_ms = 8, hosting_ms = 1, pair_ms = 1;
static const double detour_mean = 1.35, detour_spread = 0.3, detour_least = 1.05;
static const double interconnect_ms = 4, trombone_chance = 0.12, trombone_ms = 40;
static const double map_wrong_city = 0.08, map_wrong_anywhere = 0.03;
static const double noise = 0.1, noise_ms = 1;

struct place {
    double latitude, longitude;
};

struct city {
    struct place place;
    uint32_t continent;
    double until; /* weights of the cities up to this one */
};

struct edge_node {
    struct place place;
    uint32_t city;
    float hosting_ms;
};

struct network_node {
    struct place place, on_map;
    uint32_t city, provider;
    float last_mile_ms;
};

/* From one provider's clients to one edge: edges of one city are in different networks, with different peers. */
struct route {
    float detour, extra_ms;
};

struct geography {
    uint64_t seed;
    struct city cities[CITIES];
    uint32_t edge_count, network_count;
    struct edge_node *edges;
    struct network_node *networks;
    struct route *routes; /* [provider][edge] */
};

/* ---- chance */

static double normal(struct random *random)
{
    double u = random_unit(random) + 1e-12, v = random_unit(random);
    return sqrt(-2 * log(u)) * cos(2 * pi * v);
}

static double exponential(struct random *random, double mean)
{
    return -mean * log(1 - random_unit(random));
}

/* In [0, 1), the same for the same pair, whenever it is asked for. */
static double chance_of(const struct geography *geography, uint32_t what, uint32_t a, uint32_t b)
{
    uint32_t key[3] = {what, a, b};
    return (double)(hash_span(span_of(key, sizeof key), geography->seed) >> 11) / (1ull << 53);
}

static struct place near(struct random *random, struct place place, double spread)
{
    double latitude = place.latitude + spread * normal(random);
    latitude = fmax(-75, fmin(75, latitude));
    double longitude =
        place.longitude + spread * normal(random) / fmax(0.3, cos(latitude * pi / 180));
    longitude = fmod(longitude + 540, 360) - 180;
    return (struct place){latitude, longitude};
}

static uint32_t draw_city(const struct geography *geography, struct random *random)
{
    double at = random_unit(random) * geography->cities[CITIES - 1].until;
    uint32_t city = 0;
    while (geography->cities[city].until < at)
        city++;
    return city;
}

/* ---- places */

static void make_cities(struct geography *geography, struct random *random)
{
    static const struct place continents[CONTINENTS] = {{48, 10}, {38, -95}, {-15, -55},
                                                        {5, 20},  {28, 100}, {-28, 140}};
    double sum = 0;
    for (uint32_t i = 0; i < CITIES; i++) {
        struct city *city = &geography->cities[i];
        city->continent = i % CONTINENTS;
        city->place = near(random, continents[city->continent], continent_spread);
        city->until = sum += 1 / (1 + i / 6.0); /* Zipf's law on each continent */
    }
}

static void make_routes(struct geography *geography, struct random *random)
{
    for (uint32_t provider = 0; provider < CITIES * PROVIDERS; provider++)
        for (uint32_t edge = 0; edge < geography->edge_count; edge++) {
            double detour = detour_mean * exp(detour_spread * normal(random));
            double extra_ms = exponential(random, interconnect_ms);
            if (random_unit(random) < trombone_chance)
                extra_ms += exponential(random, trombone_ms);
            geography->routes[provider * geography->edge_count + edge] =
                (struct route){(float)fmax(detour_least, detour), (float)extra_ms};
        }
}

static uint32_t draw_city_near(const struct geography *geography, struct random *random,
                               uint32_t than)
{
    uint32_t continent = geography->cities[than].continent, city;
    do
        city = draw_city(geography, random);
    while (geography->cities[city].continent != continent);
    return city;
}

static void make_network(const struct geography *geography, struct random *random,
                         struct network_node *network)
{
    network->city = draw_city(geography, random);
    network->provider = network->city * PROVIDERS + (uint32_t)random_below(random, PROVIDERS);
    network->place = near(random, geography->cities[network->city].place, network_spread);
    network->last_mile_ms = (float)(last_mile_least_ms + exponential(random, last_mile_ms));
    double luck = random_unit(random);
    network->on_map = near(random, network->place, 0.2);
    if (luck < map_wrong_anywhere)
        network->on_map = geography->cities[draw_city(geography, random)].place;
    else if (luck < map_wrong_anywhere + map_wrong_city)
        network->on_map = geography->cities[draw_city_near(geography, random, network->city)].place;
}

struct geography *geography_new(uint64_t seed, uint32_t edges, uint32_t networks)
{
    struct geography *geography = NEW(struct geography);
    struct random random;
    random_seed(&random, seed);
    geography->seed = seed;
    geography->edge_count = edges;
    geography->network_count = networks;
    geography->edges = memory_new(edges * sizeof *geography->edges);
    geography->networks = memory_new(networks * sizeof *geography->networks);
    make_cities(geography, &random);
    geography->routes = memory_new((size_t)CITIES * PROVIDERS * edges * sizeof *geography->routes);
    make_routes(geography, &random);
    for (uint32_t i = 0; i < edges; i++) {
        uint32_t city = draw_city(geography, &random);
        geography->edges[i] =
            (struct edge_node){near(&random, geography->cities[city].place, edge_spread), city,
                               (float)exponential(&random, hosting_ms)};
    }
    for (uint32_t i = 0; i < networks; i++)
        make_network(geography, &random, &geography->networks[i]);
    return geography;
}

void geography_free(struct geography *geography)
{
    memory_free(geography->edges);
    memory_free(geography->networks);
    memory_free(geography->routes);
    memory_free(geography);
}

/* ---- pairs */

/* A round trip on the great circle in fibre. */
static double distance_ms(struct place a, struct place b)
{
    double radians = pi / 180, latitude = sin((b.latitude - a.latitude) * radians / 2),
           longitude = sin((b.longitude - a.longitude) * radians / 2);
    double square = latitude * latitude +
                    cos(a.latitude * radians) * cos(b.latitude * radians) * longitude * longitude;
    return 2 * 6371 * asin(fmin(1, sqrt(square))) / MAPS_KM_PER_UNIT;
}

float geography_rtt_ms(const struct geography *geography, uint32_t network, uint32_t edge)
{
    const struct network_node *from = &geography->networks[network];
    const struct edge_node *to = &geography->edges[edge];
    const struct route *route = &geography->routes[from->provider * geography->edge_count + edge];
    double pair = -pair_ms * log(1 - chance_of(geography, 0, network, edge));
    return from->last_mile_ms + to->hosting_ms +
           (float)distance_ms(from->place, to->place) * route->detour + route->extra_ms +
           (float)pair;
}

float geography_measured_ms(const struct geography *geography, uint32_t network, uint32_t edge,
                            uint32_t round)
{
    double rtt_ms = (double)geography_rtt_ms(geography, network, edge);
    double relative = 2 * chance_of(geography, 1 + 2 * round, network, edge) - 1;
    double late = -noise_ms * log(1 - chance_of(geography, 2 + 2 * round, network, edge));
    return (float)fmax(0.5, rtt_ms * (1 + noise * relative) + late);
}

bool geography_is_measured(const struct geography *geography, uint32_t network, uint32_t edge,
                           uint32_t percent)
{
    uint32_t key[2] = {network, edge};
    return hash_span(span_of(key, sizeof key), geography->seed + 1) % 100 < percent;
}

uint32_t geography_best(const struct geography *geography, uint32_t network)
{
    uint32_t best = 0;
    float least = INFINITY;
    for (uint32_t i = 0; i < geography->edge_count; i++) {
        float rtt_ms = geography_rtt_ms(geography, network, i);
        if (rtt_ms < least) {
            least = rtt_ms;
            best = i;
        }
    }
    return best;
}

uint32_t geography_nearest(const struct geography *geography, uint32_t network)
{
    uint32_t best = 0;
    double least = INFINITY;
    for (uint32_t i = 0; i < geography->edge_count; i++) {
        double ms = distance_ms(geography->networks[network].on_map, geography->edges[i].place);
        if (ms < least) {
            least = ms;
            best = i;
        }
    }
    return best;
}

/* ---- as the director sees it */

static struct maps_point point_of(struct place place)
{
    return (struct maps_point){(int32_t)lround(place.latitude * 10000),
                               (int32_t)lround(place.longitude * 10000)};
}

struct maps_point geography_edge(const struct geography *geography, uint32_t edge)
{
    return point_of(geography->edges[edge].place);
}

struct maps_point geography_network(const struct geography *geography, uint32_t network)
{
    return point_of(geography->networks[network].on_map);
}

struct address geography_client(uint32_t network)
{
    uint32_t number = network + (20 << 16);
    return (struct address){.bytes = {(uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                      (uint8_t)number, 1},
                            .family = 4};
}

struct maps *geography_maps(const struct geography *geography)
{
    struct text text = {0}, complaints = {0};
    for (uint32_t i = 0; i < geography->network_count; i++) {
        const struct address client = geography_client(i);
        const struct place *place = &geography->networks[i].on_map;
        text_add_format(&text, "%u.%u.%u.0/24 world at=%.4f,%.4f\n", client.bytes[0],
                        client.bytes[1], client.bytes[2], place->latitude, place->longitude);
    }
    struct maps_builder *builder = maps_builder_new();
    maps_builder_add(builder, text_span(&text), "geography");
    struct maps *maps = maps_builder_finish(&builder, &complaints);
    INVARIANT(maps);
    text_clear(&text);
    return maps;
}
