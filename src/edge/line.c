/* SPDX-License-Identifier: Apache-2.0
 *
 * The line before a site: what waits first at each worker.
 */
#include "edge/line.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>

struct place {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint8_t waits; /* the class and 1; 0: nothing */
};

struct edge_line {
    struct edge_lines *lines;
    struct list in_lines;
    uint64_t site;
    uint32_t users; /* under the lock */
    struct place *places;
};

struct edge_lines {
    pthread_mutex_t lock;
    struct list list;
    uint32_t workers;
};

static void line_free(struct edge_line *line)
{
    memory_free(line->places);
    memory_free(line);
}

struct edge_lines *edge_lines_new(uint32_t workers)
{
    struct edge_lines *lines = NEW(struct edge_lines);
    pthread_mutex_init(&lines->lock, NULL);
    list_init(&lines->list);
    lines->workers = workers;
    return lines;
}

void edge_lines_free(struct edge_lines **freed)
{
    struct edge_lines *lines = *freed;
    *freed = NULL;
    if (!lines)
        return;
    LIST_EACH (item, after, &lines->list)
        line_free(CONTAINER_OF(item, struct edge_line, in_lines));
    pthread_mutex_destroy(&lines->lock);
    memory_free(lines);
}

static struct edge_line *find(struct edge_lines *lines, uint64_t site)
{
    LIST_EACH (item, after, &lines->list) {
        struct edge_line *line = CONTAINER_OF(item, struct edge_line, in_lines);
        if (line->site == site)
            return line;
    }
    struct edge_line *line = NEW(struct edge_line);
    line->lines = lines;
    line->site = site;
    line->places = memory_new_aligned(lines->workers * sizeof *line->places);
    list_push_back(&lines->list, &line->in_lines);
    return line;
}

struct edge_line *edge_line_join(struct edge_lines *lines, uint64_t site)
{
    pthread_mutex_lock(&lines->lock);
    struct edge_line *line = find(lines, site);
    line->users++;
    pthread_mutex_unlock(&lines->lock);
    return line;
}

void edge_line_leave(struct edge_line **left, uint32_t worker)
{
    struct edge_line *line = *left;
    struct edge_lines *lines = line->lines;
    *left = NULL;
    edge_line_tell(line, worker, EDGE_LINE_NOBODY);
    pthread_mutex_lock(&lines->lock);
    bool is_last = !--line->users;
    if (is_last)
        list_remove(&line->in_lines);
    pthread_mutex_unlock(&lines->lock);
    if (is_last)
        line_free(line);
}

void edge_line_tell(struct edge_line *line, uint32_t worker, uint8_t first)
{
    _Atomic uint8_t *waits = &line->places[worker].waits;
    uint8_t told = first == EDGE_LINE_NOBODY ? 0 : (uint8_t)(first + 1);
    INVARIANT(worker < line->lines->workers);
    if (atomic_load_explicit(waits, memory_order_relaxed) != told)
        atomic_store_explicit(waits, told, memory_order_relaxed);
}

uint8_t edge_line_first_elsewhere(const struct edge_line *line, uint32_t worker)
{
    uint8_t first = EDGE_LINE_NOBODY;
    for (uint32_t i = 0; i < line->lines->workers; i++) {
        uint8_t told = atomic_load_explicit(&line->places[i].waits, memory_order_relaxed);
        if (i != worker && told && told - 1 < first)
            first = (uint8_t)(told - 1);
    }
    return first;
}
