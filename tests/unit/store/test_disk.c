/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk tier: what was written comes back after a restart, purges too; what was torn, truncated, flipped, foreign or half written when the
 * process was killed is not there, and never a wrong byte.
 */
#include "kept.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct store_answer plain = {
    .head = {(const uint8_t *)"HTTP/1.1 200 OK", 15},
    .facts = {(const uint8_t *)"facts", 5},
};

static char path[64];
static int folder;

static int make_folder(void **state)
{
    (void)state;
    strcpy(path, "/tmp/store-XXXXXX");
    assert_non_null(mkdtemp(path));
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder >= 0);
    reader_enter();
    return 0;
}

typedef void visit_function(const char *name, void *context);

static size_t each_file(visit_function *visit, void *context)
{
    size_t count = 0;
    const struct dirent *entry;
    DIR *listing = opendir(path);
    while ((entry = readdir(listing)) != NULL)
        if (strstr(entry->d_name, ".segment")) {
            count++;
            visit(entry->d_name, context);
        }
    closedir(listing);
    return count;
}

static void remove_file(const char *name, void *context)
{
    (void)context;
    if (unlinkat(folder, name, 0) < 0)
        unlinkat(folder, name, AT_REMOVEDIR);
}

static int remove_folder(void **state)
{
    (void)state;
    each_file(remove_file, NULL);
    close(folder);
    rmdir(path);
    reader_leave();
    snapshot_settle();
    return 0;
}

static struct store *open_tier(uint64_t memory_bytes, uint64_t disk_bytes)
{
    struct store *store;
    const struct store_options options = {
        .memory_bytes = memory_bytes, .seed = 42, .disk_bytes = disk_bytes, .disk_folder = folder};
    assert_int_equal(store_open(&store, &options), 0);
    store_settle(store);
    return store;
}

/* Like the edge: look, join, wait, look again. NULL: it would have to be fetched. */
static struct store_object *fetch(struct store *store, const struct store_query *query)
{
    for (int i = 0; i < 8; i++) {
        struct store_object *object = store_find(store, query);
        struct store_reader reader = {0};
        struct store_joined joined;
        if (object)
            return object;
        if (store_join(store, query, NULL, &reader, &joined) != STORE_WAIT) {
            store_fill_leave(&joined.fill);
            return NULL;
        }
        store_settle(store);
        assert_int_equal(store_reader_look(&reader), STORE_READER_AGAIN);
        store_reader_close(&reader);
    }
    fail_msg("the disk sends in circles");
    return NULL;
}

static uint64_t size_of(uint64_t number)
{
    return number % 13 == 0 ? 100000 + number : number * 97 % 5000;
}

static void put_number(struct store *store, uint64_t number)
{
    struct store_query query = query_of(key_of(number));
    struct span tags[] = {number % 2 ? SPAN("odd") : SPAN("even")};
    struct store_answer answer = plain;
    answer.tags = tags;
    answer.tag_count = 1;
    struct store_object *before = fetch(store, &query);
    store_object_release(store, &before);
    put(store, &query, &answer, number, size_of(number));
}

enum found { GONE, STALE, FRESH };

/* Whatever is found is right. */
static enum found check(struct store *store, uint64_t number)
{
    struct store_query query = query_of(key_of(number));
    struct store_object *object = fetch(store, &query);
    if (!object)
        return GONE;
    assert_true(has_body(object, number, size_of(number)));
    assert_true(span_equal(store_object_head(object), plain.head));
    assert_true(span_equal(store_object_facts(object), plain.facts));
    enum found found = store_object_is_purged(object) ? STALE : FRESH;
    store_object_release(store, &object);
    return found;
}

static void C1_what_was_written_is_there_after_a_restart(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct store *store = open_tier(8 << 20, 256 << 20);
    for (uint64_t i = 0; i < COUNT; i++) {
        put_number(store, i);
        store_settle(store);
    }
    assert_int_equal(counts_of(store).disk_objects, COUNT);
    store_close(&store);
    for (int run = 0; run < 2; run++) {
        store = open_tier(1 << 20, 256 << 20); /* too small for all */
        assert_true(counts_of(store).disk_objects >= COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            assert_int_equal(check(store, i), FRESH);
        assert_true(counts_of(store).disk_loads >= COUNT);
        assert_int_equal(counts_of(store).disk_bad, 0);
        put_number(store, COUNT + 1); /* is written anew */
        store_settle(store);
        assert_int_equal(check(store, COUNT + 1), FRESH);
        struct store_query other = query_of(key_of(1));
        other.site = 2;
        assert_null(fetch(store, &other));
        store_close(&store);
        store = open_tier(1 << 20, 256 << 20);
        struct store_query query = query_of(key_of(COUNT + 1));
        const struct store_purge purge = {.site = 1, .kind = STORE_PURGE_KEY, .what = query.key};
        assert_int_equal(store_purge(store, &purge), 0);
        assert_int_equal(check(store, COUNT + 1), GONE);
        store_close(&store);
    }
}

static uint32_t select_color(void *context, struct span rule, uint8_t selector[STORE_SELECTOR_MOST])
{
    (void)rule;
    selector[0] = *(const uint8_t *)context;
    return 1;
}

static void C1_variants_come_back(void **state)
{
    (void)state;
    struct store *store = open_tier(8 << 20, 64 << 20);
    const char *colors = "rgb";
    struct store_query query = query_of(key_of(1));
    query.select = select_color;
    for (uint64_t i = 0; i < 3; i++) {
        struct store_answer answer = plain;
        query.context = (void *)(uintptr_t)&colors[i];
        answer.rule = SPAN("color");
        answer.selector = span_of(&colors[i], 1);
        put(store, &query, &answer, i, 1000);
        store_settle(store);
    }
    store_close(&store);
    store = open_tier(8 << 20, 64 << 20);
    for (uint64_t i = 0; i < 3; i++) {
        query.context = (void *)(uintptr_t)&colors[i];
        struct store_object *object = fetch(store, &query);
        assert_non_null(object);
        assert_true(has_body(object, i, 1000));
        store_object_release(store, &object);
    }
    query.context = (void *)(uintptr_t) "x";
    assert_null(fetch(store, &query));
    store_close(&store);
}

static void C2_purges_reach_the_disk_and_last(void **state)
{
    (void)state;
    for (int is_soft = 0; is_soft < 2; is_soft++) {
        enum found taken = is_soft ? STALE : GONE;
        struct store *store = open_tier(8 << 20, 64 << 20);
        for (uint64_t i = 1000; i < 1060; i++) {
            put_number(store, i);
            store_settle(store); /* or some are not written for want of room */
        }
        store_close(&store);
        store = open_tier(8 << 20, 64 << 20);
        struct store_purge purge = {.site = 1,
                                    .sequence = (uint64_t)is_soft * 3 + 1,
                                    .kind = STORE_PURGE_TAG,
                                    .is_soft = is_soft,
                                    .what = SPAN("odd")};
        assert_int_equal(store_purge(store, &purge), 0);
        purge.sequence++;
        purge.kind = STORE_PURGE_PREFIX;
        purge.what = SPAN("shop https://www.shop.example/items/102");
        assert_int_equal(store_purge(store, &purge), 0);
        purge.sequence++;
        purge.kind = STORE_PURGE_KEY;
        purge.what = key_of(1000);
        assert_int_equal(store_purge(store, &purge), 0);
        assert_int_equal(check(store, 1001), taken); /* at once */
        put_number(store, 1003);                     /* what comes later is not meant */
        for (int run = 0; run < 2; run++) {
            for (uint64_t i = 1000; i < 1060; i++) {
                bool is_taken = i != 1003 && (i % 2 || i / 10 == 102 || i == 1000);
                assert_int_equal(check(store, i), is_taken ? taken : FRESH);
            }
            store_settle(store);
            store_close(&store);
            store = open_tier(8 << 20, 64 << 20);
            assert_int_equal(store_purge_sequence(store, 1), is_soft * 3 + 3);
        }
        store_close(&store);
    }
}

static void C2_the_disk_has_a_budget(void **state)
{
    (void)state;
    enum { BUDGET = 4 << 20, COUNT = 1500 };
    struct store *store = open_tier(8 << 20, BUDGET);
    for (uint64_t i = 0; i < COUNT; i++) {
        put_number(store, i);
        store_settle(store);
        assert_true(counts_of(store).disk_bytes <= BUDGET + 200000);
    }
    struct store_counts counts = counts_of(store);
    assert_true(counts.disk_objects < COUNT / 2 && counts.disk_bytes > BUDGET / 2);
    store_close(&store);
    store = open_tier(8 << 20, BUDGET);
    assert_int_equal(check(store, COUNT - 1), FRESH);
    assert_int_equal(check(store, 0), GONE);
    store_close(&store);
}

/* ---- damage */

struct damage {
    struct random *random;
    uint64_t flips;
};

static void damage_file(const char *name, void *context)
{
    struct damage *damage = context;
    struct stat status;
    int fd = openat(folder, name, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    uint64_t size = (uint64_t)status.st_size;
    if (size && random_below(damage->random, 4) == 0)
        assert_int_equal(ftruncate(fd, (off_t)random_below(damage->random, size)), 0);
    for (int i = 0; size && i < 2; i++) {
        uint8_t byte;
        off_t at = (off_t)random_below(damage->random, size);
        if (pread(fd, &byte, 1, at) != 1)
            continue;
        byte ^= (uint8_t)(1u << random_below(damage->random, 8));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        damage->flips++;
    }
    close(fd);
}

static void C1_a_damaged_file_is_a_miss(void **state)
{
    (void)state;
    enum { ROUNDS = 1000, COUNT = 20 };
    struct random random;
    uint64_t found = 0;
    random_seed(&random, 11);
    struct damage damage = {.random = &random};
    for (int round = 0; round < ROUNDS; round++) {
        struct store *store = open_tier(1 << 20, 64 << 20);
        for (uint64_t i = 1; i < COUNT; i++) {
            bool is_there = check(store, i) != GONE;
            found += is_there;
            if (!is_there)
                put_number(store, i);
        }
        store_settle(store);
        store_close(&store);
        each_file(damage_file, &damage);
        if (round % 10 == 9)
            each_file(remove_file, NULL);
    }
    print_message("%lu flips, %lu objects found and right\n", (unsigned long)damage.flips,
                  (unsigned long)found);
    assert_true(found > ROUNDS && damage.flips > ROUNDS);
}

static void C1_foreign_files_are_misses(void **state)
{
    (void)state;
    static const char junk[100000] = "this is no segment";
    int fd = openat(folder, "00000007.segment", O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    assert_int_equal(mkdirat(folder, "00000009.segment", 0700), 0);
    assert_int_equal(symlinkat("/etc/passwd", folder, "0000000a.segment"), 0);
    struct store *store = open_tier(1 << 20, 64 << 20);
    assert_int_equal(counts_of(store).disk_objects, 0);
    put_number(store, 1);
    store_settle(store);
    store_close(&store);
    /* A segment under another's name: every place in it is another. */
    assert_int_equal(renameat(folder, "0000000b.segment", folder, "00000033.segment"), 0);
    store = open_tier(1 << 20, 64 << 20);
    assert_int_equal(counts_of(store).disk_objects, 0);
    assert_int_equal(check(store, 1), GONE);
    store_close(&store);
}

static void C1_killed_while_writing(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* ThreadSanitizer takes no new threads behind a fork */
#endif
    enum { ROUNDS = 100, COUNT = 3000 };
    struct random random;
    uint64_t found = 0;
    random_seed(&random, 5);
    for (int round = 0; round < ROUNDS; round++) {
        int ready[2];
        uint8_t byte;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            struct store *store = open_tier(4 << 20, 256 << 20);
            (void)!write(ready[1], "x", 1);
            for (uint64_t i = 0;; i++)
                put_number(store, (uint64_t)round * COUNT + i % COUNT);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        usleep((useconds_t)random_below(&random, 3000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        struct store *store = open_tier(4 << 20, 256 << 20);
        for (uint64_t i = 0; i < 100; i++)
            found += check(store, (uint64_t)round * COUNT + random_below(&random, 300)) != GONE;
        store_close(&store);
        if (round % 5 == 4)
            each_file(remove_file, NULL);
    }
    print_message("%lu objects found and right\n", (unsigned long)found);
    assert_true(found > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(C1_what_was_written_is_there_after_a_restart),
        TEST(C1_variants_come_back),
        TEST(C2_purges_reach_the_disk_and_last),
        TEST(C2_the_disk_has_a_budget),
        TEST(C1_a_damaged_file_is_a_miss),
        TEST(C1_foreign_files_are_misses),
        TEST(C1_killed_while_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
