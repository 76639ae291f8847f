/* SPDX-License-Identifier: Apache-2.0
 *
 * Places near one another are ranked together: maps may tell millions of places apart, rows are bounded. The grid is as fine as
 * the bound allows; a region never shares an area with another one.
 */
#include "director/private.h"

#include "base/memory.h"

static const float pi = 3.14159265f;
static const float earth_ms = 6371.0f / MAPS_KM_PER_UNIT; /* a radius, there and back in fibre */

/* ---- the globe ---- */

void point_on_sphere(struct maps_point point, float out[3])
{
    float latitude = (float)point.latitude / 10000 * pi / 180;
    float longitude = (float)point.longitude / 10000 * pi / 180;
    out[0] = cosf(latitude) * cosf(longitude);
    out[1] = cosf(latitude) * sinf(longitude);
    out[2] = sinf(latitude);
}

/* The arc from the chord by a series that is right within 1 % for a quarter of the globe, and grows all the way. */
float sphere_ms(const float a[3], const float b[3])
{
    float x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    float square = x * x + y * y + z * z;
    float arc =
        sqrtf(square) * (1 + square * (1 / 24.0f + square * (3 / 640.0f + square / 448.0f)));
    return arc * earth_ms;
}

/* ---- the grid ---- */

enum { GRIDS = 9, NO_CELL = 0xfffffff };
static const int32_t grids[GRIDS] = {2500, 5000, 10000, 20000, 40000, 80000, 160000, 450000, 0};

/* Region and cell; never 0. Grid 0: regions alone. */
static uint64_t key_of(const struct maps_place *place, int32_t grid)
{
    uint64_t cell = NO_CELL;
    if (grid && maps_point_is_known(place->point)) {
        uint32_t row = (uint32_t)(place->point.latitude + 900000) / (uint32_t)grid;
        uint32_t column = (uint32_t)(place->point.longitude + 1800000) / (uint32_t)grid;
        cell = (uint64_t)row << 12 | column;
    }
    return (uint64_t)(place->region + 1) << 32 | cell;
}

struct cell {
    uint64_t key; /* 0: free */
    uint32_t area;
};

struct grid {
    struct cell *cells;
    uint32_t mask, count;
};

static uint32_t take_cell(struct grid *grid, uint64_t key)
{
    uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15ull >> 32) & grid->mask;
    while (grid->cells[at].key && grid->cells[at].key != key)
        at = (at + 1) & grid->mask;
    if (!grid->cells[at].key)
        grid->cells[at] = (struct cell){key, grid->count++};
    return grid->cells[at].area;
}

static bool fill_grid(struct director *director, struct grid *grid, int32_t size, uint32_t limit)
{
    memset(grid->cells, 0, ((size_t)grid->mask + 1) * sizeof *grid->cells);
    grid->count = 0;
    for (uint32_t i = 0; i < maps_place_count(director->maps); i++) {
        director->area_of_place[i] = take_cell(grid, key_of(maps_place(director->maps, i), size));
        if (grid->count > limit)
            return false;
    }
    return true;
}

/* ---- areas ---- */

static void add_place(struct director *director, uint32_t number)
{
    const struct maps_place *place = maps_place(director->maps, number);
    struct area *area = &director->areas[director->area_of_place[number]];
    area->region = place->region;
    if (!maps_point_is_known(place->point))
        return;
    float point[3];
    point_on_sphere(place->point, point);
    for (int i = 0; i < 3; i++)
        area->point[i] += point[i];
}

/* The middle of its places; else where its region is. */
static void finish_area(const struct director *director, struct area *area)
{
    float square = 0;
    for (int i = 0; i < 3; i++)
        square += area->point[i] * area->point[i];
    struct maps_point home = maps_region_point(director->maps, area->region);
    if (square > 0) {
        area->has_point = true;
        for (int i = 0; i < 3; i++)
            area->point[i] /= sqrtf(square);
    } else if (maps_point_is_known(home)) {
        area->has_point = true;
        point_on_sphere(home, area->point);
    }
}

void areas_make(struct director *director, uint32_t limit)
{
    uint32_t places = maps_place_count(director->maps);
    if (limit < maps_region_count(director->maps))
        limit = maps_region_count(director->maps); /* always fits in the coarsest grid */
    struct grid grid = {.mask = 15};
    while (grid.mask < limit * 2 + 2)
        grid.mask = grid.mask * 2 + 1;
    grid.cells = memory_new(((size_t)grid.mask + 1) * sizeof *grid.cells);
    director->area_of_place = memory_new(places * sizeof *director->area_of_place);
    for (int i = 0; i < GRIDS && !fill_grid(director, &grid, grids[i], limit); i++)
        continue;
    memory_free(grid.cells);
    director->area_count = grid.count;
    director->areas = memory_new(grid.count * sizeof *director->areas);
    for (uint32_t i = 0; i < places; i++)
        add_place(director, i);
    for (uint32_t i = 0; i < director->area_count; i++)
        finish_area(director, &director->areas[i]);
}

void areas_clear(struct director *director)
{
    memory_free(director->area_of_place);
    memory_free(director->areas);
}
