/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store costs (C1, C2): look-ups of Zipf-distributed keys on one and two threads, for each policy; keeping with eviction; memory
 * for each object of 1 KiB. `micro_store [memory]`: that part alone.
 */
#include "micro.h"

#include "base/memory.h"
#include "base/random.h"
#include "loop/loop.h"
#include "store/store.h"

#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { OBJECTS = 100000, BODY = 1024, LOOKUPS = 500000, DRAWS = 1 << 16, KEY = 80 };

static char keys[OBJECTS][KEY];
static uint32_t drawn[DRAWS];

static const char head[] =
    "\1\0\30text/html; charset=utf-8\2\0\35Sat, 21 Nov 2026 16:00:00 GMT\3\0\11max-age=60"
    "\4\0\42\"0123456789abcdef0123456789abcdef\"\5\0\4gzip\6\0\17accept-encoding";

static struct span key_of(uint32_t number)
{
    return span_text(keys[number]);
}

static void make_keys(void)
{
    static double cumulated[OBJECTS];
    double sum = 0;
    struct random random;
    random_seed(&random, 1);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        snprintf(keys[i], KEY, "shop https://www.shop.example/catalogue/items/%u.html?page=1", i);
        cumulated[i] = sum += pow(i + 1, -0.9);
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        double at = random_unit(&random) * sum;
        uint32_t low = 0, high = OBJECTS - 1;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (cumulated[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        drawn[i] = low;
    }
}

static struct store *open_store(uint64_t bytes, const char *policy)
{
    struct store *store;
    const struct store_options options = {.memory_bytes = bytes, .policy = policy, .seed = 1};
    if (store_open(&store, &options) < 0)
        exit(1);
    return store;
}

static void keep(struct store *store, uint32_t number)
{
    static const uint8_t body[BODY], facts[64];
    const struct store_answer answer = {.head = span_of(head, sizeof head),
                                        .facts = span_of(facts, sizeof facts)};
    const struct store_query query = {.site = 1, .key = key_of(number), .now_ns = 1};
    struct store_reader reader = {0};
    struct store_joined joined;
    switch (store_join(store, &query, NULL, &reader, &joined)) {
    case STORE_FOUND:
        store_object_release(store, &joined.object);
        break;
    case STORE_FILL:
        if (store_fill_answer(&joined.fill, &answer, BODY, 1) < 0)
            break;
        store_fill_data(joined.fill, span_of(body, BODY), 1);
        store_fill_end(&joined.fill);
        break;
    case STORE_WAIT:
    case STORE_ALONE:
        break;
    }
}

struct looking {
    struct store *store;
    pthread_t thread;
    uint32_t from;
    uint64_t hits;
    double seconds; /* of processor time */
};

static void *look(void *argument)
{
    struct looking *looking = argument;
    reader_enter();
    double began = cpu_seconds();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        const struct store_query query = {.site = 1,
                                          .key = key_of(drawn[(looking->from + i) % DRAWS]),
                                          .now_ns = 1};
        struct store_object *object = store_find(looking->store, &query);
        looking->hits += object != NULL;
        store_object_release(looking->store, &object);
    }
    looking->seconds = cpu_seconds() - began;
    reader_leave();
    return NULL;
}

static void bench_looking(struct store *store, const char *policy, int threads)
{
    struct looking all[2] = {{.store = store}, {.store = store, .from = DRAWS / 2}};
    uint64_t began_ns = clock_now_ns(), hits = 0;
    double seconds = 0;
    for (int i = 0; i < threads; i++)
        pthread_create(&all[i].thread, NULL, look, &all[i]);
    for (int i = 0; i < threads; i++) {
        pthread_join(all[i].thread, NULL);
        hits += all[i].hits;
        seconds += all[i].seconds;
    }
    double wall = (double)(clock_now_ns() - began_ns) / 1e9;
    double count = (double)LOOKUPS * threads;
    printf("look up  %-7s %d thread%s %6.1f ns CPU each, %5.2f million/s, %.0f%% hits\n", policy,
           threads, threads > 1 ? "s" : " ", seconds / count * 1e9, count / wall / 1e6,
           (double)hits / count * 100);
}

static void bench_keeping(const char *policy)
{
    struct store *store = open_store(OBJECTS / 4 * 1700ull, policy);
    double began = cpu_seconds();
    for (uint32_t i = 0; i < 2 * OBJECTS; i++)
        keep(store, i % OBJECTS);
    struct store_counts counts;
    store_count(store, &counts);
    printf("keep     %-7s 1 thread  %6.0f ns CPU each, %lu of %u evicted\n", policy,
           (cpu_seconds() - began) / (2 * OBJECTS) * 1e9, (unsigned long)counts.evictions,
           2 * OBJECTS);
    store_close(&store);
}

static uint64_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * 4096;
}

static void show_memory(void)
{
    malloc_trim(0);
    uint64_t before = resident_bytes();
    struct store *store = open_store(1ull << 30, NULL);
    for (uint32_t i = 0; i < OBJECTS; i++)
        keep(store, i);
    struct store_counts counts;
    store_count(store, &counts);
    uint64_t resident = resident_bytes() - before;
    uint64_t payload = BODY + sizeof head + 64 + strlen(keys[OBJECTS - 1]);
    printf("memory   %u objects of %d bytes, with head and key %lu: %.1f MiB resident, %.1f MiB "
           "charged; %.0f bytes each beyond what they hold\n",
           OBJECTS, BODY, (unsigned long)payload, (double)resident / (1 << 20),
           (double)counts.bytes / (1 << 20), (double)resident / OBJECTS - (double)payload);
    store_close(&store);
}

int main(int argc, char **argv)
{
    (void)argv;
    make_keys();
    reader_enter();
    show_memory();
    for (size_t p = 0; argc < 2 && store_policy_name(p); p++) {
        struct store *store = open_store(1ull << 30, store_policy_name(p));
        for (uint32_t i = 0; i < OBJECTS; i++)
            keep(store, i);
        bench_looking(store, store_policy_name(p), 1);
        bench_looking(store, store_policy_name(p), 2);
        store_close(&store);
        bench_keeping(store_policy_name(p));
    }
    reader_leave();
    return 0;
}
