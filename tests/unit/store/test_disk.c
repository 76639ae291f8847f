/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk tier: what was written comes back after a restart, purges too; what was torn, truncated, flipped, foreign or half written when the
 * process was killed is not there, and never a wrong byte.
 */
#include "folder.h"

#include <signal.h>
#include <sys/wait.h>

static const struct store_answer plain = {
    .head = {(const uint8_t *)"HTTP/1.1 200 OK", 15},
    .facts = {(const uint8_t *)"facts", 5},
};

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

/* ---- purges and damage: the log of this folder's only segment, or the first of them */

/* One bit so many bytes behind the n-th place where that text is. */
static void flip_at(const char *text, int n, int behind)
{
    static struct bytes bytes;
    each_file(read_first, &bytes);
    const uint8_t *at = bytes.data;
    for (int i = 0; i <= n; i++) {
        at = memmem(at + (i > 0), (size_t)(bytes.data + bytes.length - at), text, strlen(text));
        assert_non_null(at);
    }
    off_t place = at - bytes.data + behind;
    int fd = openat(folder, bytes.name, O_WRONLY);
    uint8_t byte = bytes.data[place] ^ 4;
    assert_int_equal(pwrite(fd, &byte, 1, place), 1);
    close(fd);
}

static void purge_odd(struct store *store, uint64_t sequence)
{
    const struct store_purge purge = {
        .site = 1, .sequence = sequence, .kind = STORE_PURGE_TAG, .what = SPAN("odd")};
    assert_int_equal(store_purge(store, &purge), 0);
}

static void C2_a_purge_that_damage_took_takes_what_is_older(void **state)
{
    (void)state;
    for (int is_head = 0; is_head < 2; is_head++) {
        struct store *store = open_tier(8 << 20, 64 << 20);
        put_number(store, 2001);
        put_number(store, 2006);
        store_settle(store);
        purge_odd(store, 0);
        store_settle(store);
        put_number(store, 2004);
        store_settle(store);
        store_close(&store);
        flip_at("odd", 0, is_head ? -60 : 0); /* the name of a tag stands in purges only */
        store = open_tier(8 << 20, 64 << 20);
        assert_int_equal(check(store, 2001), GONE);
        assert_int_equal(check(store, 2006), GONE); /* nobody knows */
        assert_int_equal(check(store, 2004), FRESH);
        store_close(&store);
        each_file(remove_file, NULL);
    }
}

static void C1_what_stands_behind_damage_is_found(void **state)
{
    (void)state;
    struct store *store = open_tier(8 << 20, 64 << 20);
    for (uint64_t i = 2001; i < 2005; i++) {
        put_number(store, i);
        store_settle(store);
    }
    store_close(&store);
    flip_at("cwcare", 1, 20); /* in the head of the second record: how long it is cannot be told */
    store = open_tier(8 << 20, 64 << 20);
    assert_int_equal(check(store, 2001), FRESH);
    assert_int_equal(check(store, 2002), GONE);
    assert_int_equal(check(store, 2003), FRESH);
    assert_int_equal(check(store, 2004), FRESH);
    store_close(&store);
}

static void C2_numbers_outlive_the_segment_they_were_written_to(void **state)
{
    (void)state;
    struct store *store = open_tier(8 << 20, 2 << 20);
    put_number(store, 3001);
    purge_odd(store, 1);
    for (uint64_t i = 1; i < 800; i++) {
        put_number(store, i);
        store_settle(store);
    }
    assert_int_equal(check(store, 3001), GONE);
    store_close(&store);
    store = open_tier(8 << 20, 2 << 20);
    assert_int_equal(store_purge_sequence(store, 1), 1);
    assert_int_equal(check(store, 799), FRESH);
    store_close(&store);
}

/* ---- owners */

static enum store_disk_state state_of(struct store *store)
{
    int error;
    return store_disk_state(store, &error);
}

static void wait_for(struct store *store, enum store_disk_state state)
{
    for (int i = 0; state_of(store) != state && i < 2000; i++)
        usleep(5000);
    assert_int_equal(state_of(store), state);
    store_settle(store);
}

static void C1_one_process_at_a_time_has_the_folder(void **state)
{
    (void)state;
    struct store *first = open_tier(8 << 20, 64 << 20), *second;
    put_number(first, 4001);
    put_number(first, 4002);
    store_settle(first);
    purge_odd(first, 1);
    put_number(first, 4003); /* behind the purge */
    store_settle(first);
    second = open_tier(
        8 << 20,
        64 << 20); /* a lock is the descriptor's: two of a process are as good as two processes */
    assert_int_equal(state_of(first), STORE_DISK_OPEN);
    assert_int_equal(state_of(second), STORE_DISK_WAITING);
    assert_int_equal(check(second, 4002), GONE);
    purge_odd(second, 1); /* the same: the log has it */
    struct store_purge purge = {.site = 1, .kind = STORE_PURGE_KEY, .what = key_of(4002)};
    assert_int_equal(store_purge(second, &purge), 0); /* another one, which the log has not */
    put_number(second, 4005);
    store_use_folder(first, -1);
    wait_for(second, STORE_DISK_OPEN);
    assert_int_equal(state_of(first), STORE_DISK_CLOSED);
    assert_int_equal(check(second, 4001), GONE);
    assert_int_equal(check(second, 4002), GONE);
    assert_int_equal(check(second, 4003), FRESH);
    assert_int_equal(check(first, 4003), FRESH); /* in memory */
    put_number(second, 4006);
    store_settle(second);
    store_close(&first);
    store_close(&second);
    second = open_tier(8 << 20, 64 << 20);
    assert_int_equal(store_purge_sequence(second, 1), 1);
    assert_int_equal(check(second, 4002), GONE);
    assert_int_equal(check(second, 4003), FRESH);
    assert_int_equal(check(second, 4006), FRESH);
    store_close(&second);
}

/* What the one before did meanwhile is not known of what is in memory. */
static void C2_who_waited_takes_a_site_for_stale_where_purges_were_done_elsewhere(void **state)
{
    (void)state;
    struct store *first = open_tier(8 << 20, 64 << 20);
    struct store *second = open_tier(8 << 20, 64 << 20);
    put_number(second, 4007);
    purge_odd(first, 1);
    store_settle(first);
    store_close(&first);
    wait_for(second, STORE_DISK_OPEN);
    assert_int_equal(store_purge_sequence(second, 1), 1);
    assert_int_equal(check(second, 4007), STALE);
    store_close(&second);
}

static void C1_a_folder_that_cannot_be_used_costs_only_misses(void **state)
{
    (void)state;
    struct store *store;
    struct store_options options = {
        .memory_bytes = 8 << 20, .seed = 42, .disk_bytes = 64 << 20, .disk_folder = -1};
    int error, file = openat(folder, "file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(store_open(&store, &options), 0);
    put_number(store, 1);
    assert_int_equal(check(store, 1), FRESH);
    store_use_folder(store, file);
    wait_for(store, STORE_DISK_FAILED);
    assert_int_equal(store_disk_state(store, &error), STORE_DISK_FAILED);
    assert_int_equal(error, ENOTDIR);
    assert_int_equal(check(store, 1), FRESH);
    store_use_folder(store, folder);
    wait_for(store, STORE_DISK_OPEN);
    put_number(store, 2);
    store_settle(store);
    assert_int_equal(counts_of(store).disk_objects, 1);
    store_close(&store);
    close(file);
    unlinkat(folder, "file", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(C1_what_was_written_is_there_after_a_restart),
        TEST(C1_variants_come_back),
        TEST(C2_purges_reach_the_disk_and_last),
        TEST(C2_the_disk_has_a_budget),
        TEST(C1_a_damaged_file_is_a_miss),
        TEST(C1_foreign_files_are_misses),
        TEST(C2_a_purge_that_damage_took_takes_what_is_older),
        TEST(C1_what_stands_behind_damage_is_found),
        TEST(C2_numbers_outlive_the_segment_they_were_written_to),
        TEST(C1_one_process_at_a_time_has_the_folder),
        TEST(C2_who_waited_takes_a_site_for_stale_where_purges_were_done_elsewhere),
        TEST(C1_a_folder_that_cannot_be_used_costs_only_misses),
        TEST(C1_killed_while_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
