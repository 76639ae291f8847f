/* SPDX-License-Identifier: Apache-2.0
 *
 * Renewals on disk: a 304 gives a stored object a new head, which is all that is written. Whatever is torn, flipped, killed, dropped or purged, a
 * head is never found with another body than its own.
 */
#include "folder.h"

#include <signal.h>
#include <sys/wait.h>

enum { BODY = 5000 };

/* What an answer with that body says of itself: it can be seen whether head, facts and body belong together. */
static struct store_answer told(uint64_t seed, unsigned version)
{
    static char head[64], facts[64];
    static const struct span tags[] = {{(const uint8_t *)"renewed", 7}};
    snprintf(head, sizeof head, "head %lu %u", (unsigned long)seed, version);
    snprintf(facts, sizeof facts, "%lu %u", (unsigned long)seed, version);
    return (struct store_answer){
        .head = span_text(head), .facts = span_text(facts), .tags = tags, .tag_count = 1};
}

static void tell(struct store *store, uint64_t number, uint64_t seed, uint64_t bytes)
{
    struct store_query query = query_of(key_of(number));
    struct store_object *before = fetch(store, &query);
    struct store_answer answer = told(seed, 0);
    store_object_release(store, &before);
    put(store, &query, &answer, seed, bytes);
}

/* All of what is found belongs together. */
struct looked {
    int version; /* -1: it is not there */
    uint64_t seed;
    bool is_stale;
};

static struct looked look_closely(struct store *store, uint64_t number)
{
    struct store_query query = query_of(key_of(number));
    struct store_object *object = fetch(store, &query);
    struct looked looked = {.version = -1};
    char text[64];
    if (!object)
        return looked;
    snprintf(text, sizeof text, "%.*s", SPAN_ARGS(store_object_facts(object)));
    char *end;
    looked.seed = strtoul(text, &end, 10);
    looked.version = (int)strtol(end, NULL, 10);
    struct store_answer answer = told(looked.seed, (unsigned)looked.version);
    assert_true(span_equal(store_object_facts(object), answer.facts));
    assert_true(span_equal(store_object_head(object), answer.head));
    assert_true(has_body(object, looked.seed, store_object_body_bytes(object)));
    looked.is_stale = store_object_is_purged(object);
    store_object_release(store, &object);
    return looked;
}

static int look(struct store *store, uint64_t number)
{
    return look_closely(store, number).version;
}

/* The origin says that it is still right. False: there was nothing to ask it about. */
static bool renew(struct store *store, uint64_t number)
{
    struct store_query query = query_of(key_of(number));
    struct store_joined joined;
    struct store_reader reader = {0};
    struct looked looked = look_closely(store, number);
    struct store_object *object = store_find(store, &query);
    if (!object)
        return false;
    struct store_answer answer = told(looked.seed, (unsigned)looked.version + 1);
    assert_int_equal(store_join(store, &query, object, &reader, &joined), STORE_FILL);
    store_fill_refresh(&joined.fill, object, &answer);
    store_object_release(store, &object);
    return true;
}

/* Bytes that a renewal writes. */
static uint64_t renewal_bytes(struct store *store, uint64_t number)
{
    uint64_t before = counts_of(store).disk_written;
    assert_true(renew(store, number));
    store_settle(store);
    return counts_of(store).disk_written - before;
}

static void C1_a_renewal_writes_the_head_alone(void **state)
{
    (void)state;
    enum { LARGE = 900000, HEAD_MOST = 256 };
    struct store *store = open_tier(8 << 20, 64 << 20);
    tell(store, 1, 1, LARGE);
    tell(store, 2, 2, 1000);
    store_settle(store);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_in_range(renewal_bytes(store, 1), 1, HEAD_MOST);
        assert_int_equal(counts_of(store).disk_renewals, i);
    }
    assert_true(renewal_bytes(store, 2) > 1000); /* not worth another look when it is read */
    tell(store, 1, 3, LARGE);                    /* now it has another body */
    store_settle(store);
    assert_in_range(renewal_bytes(store, 1), 1, HEAD_MOST);
    store_close(&store);
    for (int run = 0; run < 3; run++) { /* each points to the body, none to another renewal */
        store = open_tier(8 << 20, 64 << 20);
        assert_int_equal(look(store, 1), run + 1);
        assert_int_equal(look_closely(store, 1).seed, 3);
        assert_int_equal(look(store, 2), 1);
        assert_in_range(renewal_bytes(store, 1), 1, HEAD_MOST);
        assert_int_equal(counts_of(store).disk_bad, 0);
        store_close(&store);
    }
    for (int is_soft = 1; is_soft >= 0; is_soft--) {
        store = open_tier(8 << 20, 64 << 20);
        const struct store_purge purge = {
            .site = 1, .kind = STORE_PURGE_TAG, .is_soft = is_soft, .what = SPAN("renewed")};
        assert_int_equal(store_purge(store, &purge), 0);
        store_settle(store);
        store_close(&store);
        store = open_tier(8 << 20, 64 << 20);
        struct looked looked = look_closely(store, 1);
        assert_int_equal(looked.version, is_soft ? 4 : -1);
        assert_int_equal(looked.is_stale, is_soft);
        store_close(&store);
    }
}

/* The oldest segment goes with the bodies in it, whatever heads they have by now; what is renewed often enough does not go with it. */
static void C2_a_renewal_does_not_outlive_its_body(void **state)
{
    (void)state;
    enum { BUDGET = 4 << 20, LARGE = 100000 };
    struct store *store = open_tier(8 << 20, BUDGET);
    tell(store, 1, 1, LARGE);
    tell(store, 2, 2, LARGE);
    store_settle(store);
    uint64_t written = 0;
    for (uint64_t i = 10; i < 110; i++) {
        tell(store, i, i, LARGE);
        store_settle(store);
        if (i < 20)
            (void)renewal_bytes(store, 2);
        written += renewal_bytes(store, 1);
        assert_true(counts_of(store).disk_bytes <= BUDGET + 2 * LARGE);
    }
    assert_in_range(written, 2 * LARGE, 10 * LARGE); /* not at each of a hundred */
    uint64_t objects = counts_of(store).disk_objects;
    assert_true(objects < 50);
    store_close(&store);
    store = open_tier(8 << 20, BUDGET);
    assert_int_equal(counts_of(store).disk_objects, objects);
    assert_int_equal(look(store, 1), 100);
    assert_int_equal(look(store, 2), -1);
    assert_int_equal(counts_of(store).disk_bad, 0);
    store_close(&store);
}

/* An object, its renewal, and one more so that damage is never at the log's end; all in one segment. */
struct three {
    struct bytes bytes;
    ssize_t body, renewal, other; /* where each begins */
};

static void make_three(struct three *three)
{
    *three = (struct three){0};
    struct store *store = open_tier(1 << 20, 64 << 20);
    tell(store, 1, 7, BODY);
    store_settle(store);
    three->renewal = (ssize_t)counts_of(store).disk_bytes;
    three->body = three->renewal - BODY;
    assert_in_range(renewal_bytes(store, 1), 1, 256);
    three->other = (ssize_t)counts_of(store).disk_bytes;
    tell(store, 2, 8, 10);
    store_settle(store);
    store_close(&store);
    each_file(read_first, &three->bytes);
    assert_true(three->bytes.length > three->other);
}

/* With so much of it, and one bit flipped (-1: none). */
static int look_at(const struct three *three, ssize_t length, ssize_t flipped)
{
    static struct bytes copy;
    copy = three->bytes;
    each_file(remove_file, NULL);
    if (flipped >= 0)
        copy.data[flipped] ^= (uint8_t)(1 << flipped % 8);
    int fd = openat(folder, copy.name, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, copy.data, (size_t)length), length);
    close(fd);
    struct store *store = open_tier(1 << 20, 64 << 20);
    int version = look(store, 1);
    store_close(&store);
    return version;
}

static void C1_a_torn_head_leaves_the_one_before(void **state)
{
    (void)state;
    static struct three three;
    make_three(&three);
    for (ssize_t length = three.renewal - 3; length < three.other; length++)
        assert_int_equal(look_at(&three, length, -1), length < three.renewal ? -1 : 0);
    assert_int_equal(look_at(&three, three.other, -1), 1);
}

static void C1_a_flip_in_either_head_serves_no_wrong_byte(void **state)
{
    (void)state;
    static struct three three;
    uint64_t places = 0, current = 0, before = 0;
    make_three(&three);
    for (ssize_t at = 0; at < three.other; places++) {
        int version = look_at(&three, three.bytes.length, at);
        if (at >= three.renewal)
            assert_int_equal(version, 0); /* the head before it counts again */
        else if (at >= three.body)
            assert_int_equal(version, -1);
        else /* of the older head only how long it is counts */
            assert_true(version == 1 || version == -1);
        current += version == 1;
        before += version == 0;
        bool is_within_body = at >= three.body && at < three.renewal - 40;
        at += is_within_body ? 37 : 1;
    }
    print_message("%lu places: %lu times the renewed head, %lu times the one before\n",
                  (unsigned long)places, (unsigned long)current, (unsigned long)before);
    assert_true(current > 20);
    assert_int_equal(before, three.other - three.renewal);
}

static void C1_killed_while_renewing(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* ThreadSanitizer takes no new threads behind a fork */
#endif
    enum { ROUNDS = 60, COUNT = 40 };
    struct random random;
    uint64_t found = 0, renewed = 0;
    random_seed(&random, 6);
    for (int round = 0; round < ROUNDS; round++) {
        int ready[2];
        uint8_t byte;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            struct store *store = open_tier(8 << 20, 256 << 20);
            (void)!write(ready[1], "x", 1);
            for (uint64_t i = 0;; i++)
                if (i % 7 == 0 || !renew(store, i % COUNT))
                    tell(store, i % COUNT, i, BODY + i % 30000);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        usleep((useconds_t)random_below(&random, 10000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        struct store *store = open_tier(8 << 20, 256 << 20);
        for (uint64_t i = 0; i < COUNT; i++) {
            int version = look(store, i);
            found += version >= 0;
            renewed += version > 0;
        }
        store_close(&store);
        if (round % 5 == 4)
            each_file(remove_file, NULL);
    }
    print_message("%lu objects found and right, %lu of them renewed\n", (unsigned long)found,
                  (unsigned long)renewed);
    assert_true(found > 0);
}

/* Also where what a renewal is about was never written, or was dropped, damaged or purged. */
static void C1_whatever_happens_head_and_body_belong_together(void **state)
{
    (void)state;
    enum { STEPS = 4000, COUNT = 20 };
    struct random random;
    uint64_t found = 0, renewals = 0, dropped = 0;
    random_seed(&random, 8);
    struct damage damage = {.random = &random};
    struct store *store = open_tier(2 << 20, 4 << 20);
    for (unsigned step = 1; step < STEPS; step++) {
        uint64_t number = random_below(&random, COUNT), dice = random_below(&random, 1000);
        struct span key = key_of(number);
        const struct store_purge purge = {
            .site = 1, .kind = STORE_PURGE_KEY, .is_soft = dice % 2, .what = key};
        if (dice < 300) {
            tell(store, number, step, BODY + random_below(&random, 60000));
        } else if (dice < 700) {
            (void)renew(store, number);
        } else if (dice < 900) {
            found += look(store, number) >= 0;
        } else if (dice < 930) {
            assert_int_equal(store_purge(store, &purge), 0);
            assert_true(purge.is_soft || look(store, number) == -1);
        } else if (dice < 980) {
            store_settle(store);
        } else {
            struct store_counts counts = counts_of(store);
            renewals += counts.disk_renewals;
            dropped += counts.disk_dropped;
            store_close(&store);
            if (dice < 990)
                each_file(damage_file, &damage);
            store = open_tier(2 << 20, 4 << 20);
        }
    }
    store_close(&store);
    print_message("%lu found, %lu renewals, %lu not written, %lu flips\n", (unsigned long)found,
                  (unsigned long)renewals, (unsigned long)dropped, (unsigned long)damage.flips);
    assert_true(found > 200 && renewals > 100 && damage.flips > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(C1_a_renewal_writes_the_head_alone),
        TEST(C2_a_renewal_does_not_outlive_its_body),
        TEST(C1_a_torn_head_leaves_the_one_before),
        TEST(C1_a_flip_in_either_head_serves_no_wrong_byte),
        TEST(C1_killed_while_renewing),
        TEST(C1_whatever_happens_head_and_body_belong_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
