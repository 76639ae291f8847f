/* SPDX-License-Identifier: Apache-2.0
 *
 * Fills and those who wait for them, step by step on one thread: every way in which a fill ends, the limits, slow readers.
 */
#include "kept.h"

static const struct store_answer plain = {
    .head = {(const uint8_t *)"HTTP/1.1 200 OK", 15},
    .facts = {(const uint8_t *)"facts", 5},
};

static enum store_role join(struct store *store, const struct store_query *query,
                            struct store_reader *reader)
{
    struct store_joined joined;
    *reader = (struct store_reader){0};
    enum store_role role = store_join(store, query, NULL, reader, &joined);
    assert_true(role == STORE_WAIT || role == STORE_ALONE);
    return role;
}

/* Pulls all that is there; true: it is the body from `from` on, and so long. */
static bool pulls(struct store_reader *reader, uint64_t seed, uint64_t from, uint64_t length)
{
    struct slice_queue bytes = {0};
    bool is_right = store_reader_pull(reader, &bytes, UINT64_MAX) == length;
    is_right &= bytes.bytes == length;
    return is_body(&bytes, seed, from) && is_right;
}

static void C1_a_fill_streams_to_all_who_wait(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader early, late, slow, last;
    assert_int_equal(join(store, &query, &early), STORE_WAIT);
    assert_int_equal(join(store, &query, &slow), STORE_WAIT);
    assert_int_equal(store_reader_look(&early), STORE_READER_WAITING);
    answer_fill(fill, &plain, STORE_LENGTH_UNKNOWN);
    assert_int_equal(store_reader_look(&early), STORE_READER_FLOWING);
    assert_int_equal(store_reader_look(&slow), STORE_READER_FLOWING);
    assert_true(span_equal(store_object_head(store_reader_object(&early)), plain.head));
    assert_true(pulls(&early, 9, 0, 0));
    fill_with(fill, 9, 0, 10000);
    assert_true(pulls(&early, 9, 0, 10000));
    fill_with(fill, 9, 10000, 100000);
    assert_int_equal(join(store, &query, &late), STORE_WAIT);
    assert_int_equal(store_reader_look(&late), STORE_READER_FLOWING);
    assert_true(pulls(&late, 9, 0, 110000));
    assert_true(pulls(&early, 9, 10000, 100000));
    assert_int_equal(join(store, &query, &last), STORE_WAIT);
    store_fill_end(&fill);
    assert_null(fill);
    assert_int_equal(store_reader_look(&early), STORE_READER_WHOLE);
    assert_true(store_reader_is_at_end(&early));
    assert_false(store_reader_is_at_end(&slow));
    assert_int_equal(store_reader_look(&slow), STORE_READER_WHOLE);
    assert_true(pulls(&slow, 9, 0, 110000));
    assert_true(store_reader_is_at_end(&slow));
    assert_int_equal(store_reader_look(&last), STORE_READER_WHOLE); /* never looked before */
    assert_true(pulls(&last, 9, 0, 110000));
    struct store_object *object = store_find(store, &query);
    assert_true(has_body(object, 9, 110000));
    store_object_release(store, &object);
    struct store_reader *all[] = {&early, &late, &slow, &last};
    for (int i = 0; i < 4; i++)
        store_reader_close(all[i]);
    assert_int_equal(counts_of(store).waits, 4);
    assert_int_equal(counts_of(store).fills, 0);
    store_close(&store);
}

/* Before the head and within the body: what those who wait are told. */
static void C1_however_a_fill_ends_nobody_hangs(void **state)
{
    (void)state;
    enum way { PASS, FAIL, LEAVE, SHORT };
    static const struct {
        enum way way;
        bool is_begun;
        enum store_reader_state looked, unlooked;
    } cases[] = {
        {PASS, false, STORE_READER_ALONE, STORE_READER_ALONE},
        {FAIL, false, STORE_READER_FAILED, STORE_READER_FAILED},
        {LEAVE, false, STORE_READER_AGAIN, STORE_READER_AGAIN},
        {FAIL, true, STORE_READER_FAILED, STORE_READER_FAILED},
        {LEAVE, true, STORE_READER_FAILED, STORE_READER_AGAIN},
        {SHORT, true, STORE_READER_FAILED, STORE_READER_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store *store = open_store(8 << 20, NULL);
        struct store_query query = query_of(key_of(i));
        struct store_fill *fill = begin_fill(store, &query);
        struct store_reader looked, unlooked;
        join(store, &query, &looked);
        join(store, &query, &unlooked);
        if (cases[i].is_begun) {
            answer_fill(fill, &plain, 1000);
            fill_with(fill, i, 0, 500);
            assert_int_equal(store_reader_look(&looked), STORE_READER_FLOWING);
        }
        if (cases[i].way == PASS)
            store_fill_pass(&fill, SECOND, 10 * SECOND);
        else if (cases[i].way == FAIL)
            store_fill_fail(&fill);
        else if (cases[i].way == LEAVE)
            store_fill_leave(&fill);
        else
            store_fill_end(&fill); /* of 1000 bytes there were 500 */
        assert_null(fill);
        assert_int_equal(store_reader_look(&looked), cases[i].looked);
        assert_int_equal(store_reader_look(&unlooked), cases[i].unlooked);
        store_reader_close(&looked);
        store_reader_close(&unlooked);
        assert_null(store_find(store, &query));
        assert_int_equal(counts_of(store).objects, 0);
        if (cases[i].way == PASS) { /* remembered for a while */
            assert_int_equal(join(store, &query, &looked), STORE_ALONE);
            query.now_ns = 12 * SECOND;
        }
        fill = begin_fill(store, &query); /* the first to come again fetches */
        store_fill_fail(&fill);
        store_close(&store);
    }
}

static void C1_a_stalled_fill_lets_go(void **state)
{
    (void)state;
    struct store *store = open_store(1 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *stalled = begin_fill(store, &query);
    struct store_reader own = {0}, waiter;
    store_fill_read(stalled, &own);
    join(store, &query, &waiter);
    store_tick(store, query.now_ns + STORE_STALL_NS - 1);
    assert_int_equal(store_reader_look(&waiter), STORE_READER_WAITING);
    store_tick(store, query.now_ns + STORE_STALL_NS);
    assert_int_equal(store_reader_look(&waiter), STORE_READER_ALONE);
    assert_int_equal(store_reader_look(&own), STORE_READER_WAITING); /* the filler's goes on */
    store_reader_close(&waiter);
    query.now_ns += STORE_STALL_NS;
    struct store_fill *fresh = begin_fill(store, &query);
    answer_fill(stalled, &plain, 10);
    fill_with(stalled, 1, 0, 10);
    assert_int_equal(store_reader_look(&own), STORE_READER_FLOWING);
    assert_true(pulls(&own, 1, 0, 10));
    store_fill_end(&stalled);
    assert_true(store_reader_is_at_end(&own));
    store_reader_close(&own);
    assert_null(store_find(store, &query)); /* the younger one will be kept */
    answer_fill(fresh, &plain, 10);
    query.now_ns += STORE_STALL_NS; /* one that stalls within: nobody else comes to wait */
    assert_int_equal(join(store, &query, &waiter), STORE_ALONE);
    fill_with(fresh, 2, 0, 10);
    store_fill_end(&fresh);
    struct store_object *object = store_find(store, &query);
    assert_true(has_body(object, 2, 10));
    store_object_release(store, &object);
    store_close(&store);
}

static void C1_waiters_are_bounded(void **state)
{
    (void)state;
    struct store *store;
    assert_int_equal(
        store_open(&store, &(struct store_options){.memory_bytes = 1 << 20, .waiters_most = 3}), 0);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader readers[3], other;
    for (int i = 0; i < 3; i++)
        assert_int_equal(join(store, &query, &readers[i]), STORE_WAIT);
    assert_int_equal(join(store, &query, &other), STORE_ALONE);
    store_reader_close(&readers[0]);
    assert_int_equal(join(store, &query, &other), STORE_WAIT);
    store_reader_close(&other);
    store_reader_close(&readers[1]);
    store_reader_close(&readers[2]);
    store_fill_fail(&fill);
    store_close(&store);
}

static enum store_role join_as(struct store *store, const struct store_query *query,
                               struct store_reader *reader, uint8_t urgency)
{
    struct store_joined joined;
    *reader = (struct store_reader){0};
    store_reader_set_urgency(reader, urgency);
    return store_join(store, query, NULL, reader, &joined);
}

static void T3_a_fill_is_as_urgent_as_who_waits_for_it(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader slow, quick, other, own = {0};
    assert_int_equal(store_fill_urgency(fill), 0);
    assert_int_equal(join_as(store, &query, &slow, 2), STORE_WAIT);
    assert_int_equal(store_fill_urgency(fill), 2);
    assert_int_equal(join_as(store, &query, &quick, STORE_URGENCY_MOST), STORE_WAIT);
    assert_int_equal(join_as(store, &query, &other, 4), STORE_WAIT);
    assert_int_equal(store_fill_urgency(fill), STORE_URGENCY_MOST);
    store_reader_close(&quick);
    store_reader_close(&quick);
    assert_int_equal(store_fill_urgency(fill), 4);
    answer_fill(fill, &plain, STORE_LENGTH_UNKNOWN);
    store_reader_set_urgency(&own, 3);
    store_fill_read(fill, &own); /* whoever fetches reads like the others */
    store_reader_set_urgency(&other, 1);
    assert_int_equal(store_fill_urgency(fill), 3);
    store_reader_close(&own);
    assert_int_equal(store_fill_urgency(fill), 2);
    store_fill_end(&fill);
    store_reader_close(&slow);
    store_reader_close(&other);
    assert_int_equal(counts_of(store).fills, 0);
    store_close(&store);
}

/* Against a plain look at all of them. */
static void T3_whoever_comes_and_goes_the_urgency_is_right(void **state)
{
    (void)state;
    enum { READERS = 12 };
    struct store *store = open_store(8 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader readers[READERS] = {0};
    struct random random;
    random_seed(&random, 1);
    for (int step = 0; step < 20000; step++) {
        struct store_reader *reader = &readers[random_below(&random, READERS)];
        uint8_t urgency = (uint8_t)random_below(&random, STORE_URGENCY_MOST + 1);
        if (!reader->fill)
            assert_int_equal(join_as(store, &query, reader, urgency), STORE_WAIT);
        else if (random_below(&random, 2))
            store_reader_close(reader);
        else
            store_reader_set_urgency(reader, urgency);
        uint8_t most = 0;
        for (int i = 0; i < READERS; i++)
            if (readers[i].fill && readers[i].urgency > most)
                most = readers[i].urgency;
        assert_int_equal(store_fill_urgency(fill), most);
    }
    for (int i = 0; i < READERS; i++)
        store_reader_close(&readers[i]);
    store_fill_fail(&fill);
    store_close(&store);
}

static void C1_what_is_too_large_streams_through(void **state)
{
    (void)state;
    struct store *store = open_store(16 << 20, NULL); /* objects of 2 MiB at most */
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader early, late;
    join(store, &query, &early);
    answer_fill(fill, &plain, STORE_LENGTH_UNKNOWN);
    assert_int_equal(store_reader_look(&early), STORE_READER_FLOWING);
    uint64_t sent = 0, pulled = 0;
    const uint64_t part = 100000, total = 20 * 1000 * 1000;
    while (sent < total) {
        uint64_t room = store_fill_room(fill);
        if (!room) { /* the slow one holds it up */
            assert_true(counts_of(store).bytes < (4 << 20));
            assert_true(pulls(&early, 5, pulled, sent - pulled));
            pulled = sent;
            continue;
        }
        fill_with(fill, 5, sent, part);
        sent += part;
    }
    assert_true(pulled > total / 2);
    struct store_joined joined; /* from the limit on nobody finds it */
    late = (struct store_reader){0};
    assert_int_equal(store_join(store, &query, NULL, &late, &joined), STORE_FILL);
    store_fill_fail(&joined.fill);
    store_fill_end(&fill);
    assert_true(pulls(&early, 5, pulled, total - pulled));
    assert_true(store_reader_is_at_end(&early));
    store_reader_close(&early);
    assert_null(store_find(store, &query));

    fill = begin_fill(store, &query); /* known beforehand */
    join(store, &query, &early);
    assert_int_equal(store_fill_answer(&fill, &plain, 3 << 20, SECOND), ERROR_LIMIT);
    assert_null(fill);
    assert_int_equal(store_reader_look(&early), STORE_READER_ALONE);
    store_reader_close(&early);
    assert_int_equal(counts_of(store).bytes > 0, 1); /* the mark alone */
    assert_int_equal(counts_of(store).objects, 0);
    store_close(&store);
}

static void C1_who_is_too_far_behind_is_cut_off(void **state)
{
    (void)state;
    struct store *store = open_store(16 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_reader reader;
    join(store, &query, &reader);
    answer_fill(fill, &plain, STORE_LENGTH_UNKNOWN);
    assert_int_equal(store_reader_look(&reader), STORE_READER_FLOWING);
    for (uint64_t i = 0; i < 20; i++) /* and never asks for room */
        fill_with(fill, 5, i << 20, 1 << 20);
    assert_int_equal(store_reader_look(&reader), STORE_READER_FAILED);
    store_reader_close(&reader);
    assert_true(counts_of(store).bytes < 1 << 20);
    store_fill_end(&fill);
    store_close(&store);
}

static void C1_a_refresh_keeps_the_body(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0, 1000, 200000};
    for (size_t i = 0; i < 3; i++) {
        struct store *store = open_store(8 << 20, NULL);
        struct store_query query = query_of(key_of(i));
        put(store, &query, &plain, i, sizes[i]);
        struct store_object *old = store_find(store, &query);
        struct store_joined joined;
        struct store_reader waiter = {0};
        assert_int_equal(store_join(store, &query, old, &waiter, &joined), STORE_FILL);
        struct store_joined second;
        waiter = (struct store_reader){0};
        assert_int_equal(store_join(store, &query, old, &waiter, &second), STORE_WAIT);
        struct store_answer fresh = plain;
        fresh.facts = SPAN("fresher");
        store_fill_refresh(&joined.fill, old, &fresh);
        assert_int_equal(store_reader_look(&waiter), STORE_READER_WHOLE);
        assert_true(span_equal(store_object_facts(store_reader_object(&waiter)), fresh.facts));
        assert_true(pulls(&waiter, i, 0, sizes[i]));
        assert_true(store_reader_is_at_end(&waiter));
        store_reader_close(&waiter);
        /* Who comes late with the old one in hand gets the new one. */
        assert_int_equal(store_join(store, &query, old, &waiter, &second), STORE_FOUND);
        assert_true(has_body(second.object, i, sizes[i]));
        store_object_release(store, &second.object);
        store_object_release(store, &old);
        assert_int_equal(counts_of(store).objects, 1);
        store_close(&store);
    }
}

static uint32_t select_color(void *context, struct span rule, uint8_t selector[STORE_SELECTOR_MOST])
{
    (void)rule;
    selector[0] = *(const uint8_t *)context;
    return 1;
}

static void C1_a_variant_for_others_sends_them_on(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    struct store_query red = query_of(key_of(1)), blue = red;
    red.select = blue.select = select_color;
    red.context = (void *)(uintptr_t) "r";
    blue.context = (void *)(uintptr_t) "b";
    struct store_fill *fill = begin_fill(store, &red);
    struct store_reader like, unlike, other;
    assert_int_equal(join(store, &red, &like), STORE_WAIT);
    assert_int_equal(join(store, &blue, &unlike), STORE_WAIT); /* nobody knows yet */
    struct store_answer answer = plain;
    answer.rule = SPAN("color");
    answer.selector = SPAN("r");
    answer_fill(fill, &answer, 10);
    assert_int_equal(store_reader_look(&like), STORE_READER_FLOWING);
    assert_int_equal(store_reader_look(&unlike), STORE_READER_AGAIN);
    store_reader_close(&unlike);
    struct store_fill *second = begin_fill(store, &blue);
    assert_int_equal(join(store, &blue, &unlike), STORE_WAIT);
    assert_int_equal(join(store, &red, &other), STORE_WAIT);
    fill_with(fill, 1, 0, 10);
    store_fill_end(&fill);
    assert_int_equal(store_reader_look(&other), STORE_READER_WHOLE);
    answer.selector = SPAN("b");
    answer_fill(second, &answer, 10);
    fill_with(second, 2, 0, 10);
    store_fill_end(&second);
    assert_int_equal(store_reader_look(&unlike), STORE_READER_WHOLE);
    assert_true(pulls(&unlike, 2, 0, 10));
    assert_int_equal(counts_of(store).objects, 2);
    store_reader_close(&like);
    store_reader_close(&unlike);
    store_reader_close(&other);
    store_close(&store);
}

static void C2_fills_have_a_share_of_the_memory(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    struct store_fill *fills[100];
    size_t count = 0;
    enum store_role role;
    for (;;) {
        struct store_query query = query_of(key_of(count));
        struct store_joined joined;
        struct store_reader reader = {0};
        role = store_join(store, &query, NULL, &reader, &joined);
        if (role != STORE_FILL)
            break;
        fills[count++] = joined.fill;
        answer_fill(joined.fill, &plain, 1000000);
        fill_with(joined.fill, count, 0, 500000);
    }
    assert_int_equal(role, STORE_ALONE);
    assert_in_range(count, 8, 9);
    for (size_t i = 0; i < count; i++)
        store_fill_fail(&fills[i]);
    assert_int_equal(counts_of(store).bytes, 0);
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_a_fill_streams_to_all_who_wait),
        cmocka_unit_test(C1_however_a_fill_ends_nobody_hangs),
        cmocka_unit_test(C1_a_stalled_fill_lets_go),
        cmocka_unit_test(C1_waiters_are_bounded),
        cmocka_unit_test(T3_a_fill_is_as_urgent_as_who_waits_for_it),
        cmocka_unit_test(T3_whoever_comes_and_goes_the_urgency_is_right),
        cmocka_unit_test(C1_what_is_too_large_streams_through),
        cmocka_unit_test(C1_who_is_too_far_behind_is_cut_off),
        cmocka_unit_test(C1_a_refresh_keeps_the_body),
        cmocka_unit_test(C1_a_variant_for_others_sends_them_on),
        cmocka_unit_test(C2_fills_have_a_share_of_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
