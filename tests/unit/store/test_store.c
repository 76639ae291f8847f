/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept and found: variants, the budget, replacing, purges.
 */
#include "kept.h"

static const struct store_answer plain = {
    .head = {(const uint8_t *)"HTTP/1.1 200 OK", 15},
    .facts = {(const uint8_t *)"facts", 5},
};

static void C1_what_was_kept_is_found(void **state)
{
    (void)state;
    struct store *store = open_store(64 << 20, NULL);
    const uint64_t sizes[] = {0, 1, 1024, 16369, 16370, 100000, 1 << 20};
    for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct store_query query = query_of(key_of(i));
        assert_null(store_find(store, &query));
        put(store, &query, &plain, i, sizes[i]);
        struct store_object *object = store_find(store, &query);
        assert_non_null(object);
        assert_true(has_body(object, i, sizes[i]));
        assert_true(span_equal(store_object_head(object), plain.head));
        assert_true(span_equal(store_object_facts(object), plain.facts));
        assert_true(span_equal(store_object_key(object), query.key));
        query.site = 2; /* the same words of another site */
        assert_null(store_find(store, &query));
        for (uint64_t from = 0; from < sizes[i]; from += sizes[i] / 7 + 1) {
            struct slice_queue part = {0};
            uint64_t length = (sizes[i] - from) / 2;
            store_object_body(object, from, length, &part);
            assert_int_equal(part.bytes, length);
            assert_true(is_body(&part, i, from));
        }
        store_object_release(store, &object);
    }
    assert_int_equal(counts_of(store).objects, 7);
    assert_int_equal(counts_of(store).hits, 7);
    store_close(&store);
}

static void C1_an_unknown_length_leaves_no_waste(void **state)
{
    (void)state;
    struct store *store = open_store(64 << 20, NULL);
    for (uint64_t i = 0; i < 100; i++) {
        struct store_query query = query_of(key_of(i));
        struct store_fill *fill = begin_fill(store, &query);
        answer_fill(fill, &plain, STORE_LENGTH_UNKNOWN);
        for (uint64_t at = 0; at < 20000; at += 1000)
            fill_with(fill, i, at, 1000);
        store_fill_end(&fill);
        struct store_object *object = store_find(store, &query);
        assert_true(has_body(object, i, 20000));
        store_object_release(store, &object);
    }
    assert_in_range(counts_of(store).bytes, 100 * 20000, 100 * 20800);
    store_close(&store);
}

static void C2_the_budget_holds(void **state)
{
    (void)state;
    for (size_t p = 0; store_policy_name(p); p++) {
        struct store *store = open_store(8 << 20, store_policy_name(p));
        struct random random;
        random_seed(&random, p);
        for (uint64_t i = 0; i < 20000; i++) {
            struct store_query query = query_of(key_of(i));
            put(store, &query, &plain, i, random_below(&random, 8000));
            struct store_counts counts = counts_of(store);
            assert_true(counts.bytes <= counts.bytes_most);
            assert_int_equal(counts.objects, counts.inserts - counts.evictions);
        }
        struct store_counts counts = counts_of(store);
        assert_true(counts.bytes > counts.bytes_most * 95 / 100);
        store_close(&store);
    }
}

static void C2_what_is_being_sent_stays(void **state)
{
    (void)state;
    struct store *store = open_store(1 << 20, "fifo");
    struct store_query query = query_of(key_of(0));
    put(store, &query, &plain, 0, 5000);
    struct store_object *held = store_find(store, &query);
    for (uint64_t i = 1; i < 1000; i++) {
        struct store_query other = query_of(key_of(i));
        put(store, &other, &plain, i, 5000);
    }
    query = query_of(key_of(0));
    struct store_object *again = store_find(store, &query);
    assert_ptr_equal(again, held);
    assert_true(has_body(held, 0, 5000));
    store_object_release(store, &again);
    store_object_release(store, &held);
    store_close(&store);
}

/* ---- variants */

static uint32_t select_language(void *context, struct span rule,
                                uint8_t selector[STORE_SELECTOR_MOST])
{
    const char *language = context;
    assert_true(span_equal(rule, SPAN("accept-language")) || span_equal(rule, SPAN("cookie")));
    if (span_equal(rule, SPAN("cookie")))
        return 0;
    memcpy(selector, language, strlen(language));
    return (uint32_t)strlen(language);
}

static struct store_query language_query(const char *language)
{
    struct store_query query = query_of(SPAN("shop https://www.shop.example/"));
    query.select = select_language;
    query.context = (void *)(uintptr_t)language;
    return query;
}

static void put_language(struct store *store, const char *language, uint64_t seed)
{
    struct store_query query = language_query(language);
    struct store_answer answer = plain;
    answer.rule = SPAN("accept-language");
    answer.selector = span_text(language);
    put(store, &query, &answer, seed, 100);
}

static void expect(struct store *store, const struct store_query *query, uint64_t seed)
{
    struct store_object *object = store_find(store, query);
    assert_non_null(object);
    assert_true(has_body(object, seed, store_object_body_bytes(object)));
    store_object_release(store, &object);
}

static void C1_variants_are_told_apart(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    put_language(store, "de", 1);
    put_language(store, "fr", 2);
    struct store_query de = language_query("de"), fr = language_query("fr"),
                       it = language_query("it");
    expect(store, &de, 1);
    expect(store, &fr, 2);
    assert_null(store_find(store, &it));
    struct store_query blind = de;
    blind.select = NULL;
    assert_null(store_find(store, &blind));

    put_language(store, "de", 3); /* replaces its like only */
    expect(store, &de, 3);
    expect(store, &fr, 2);
    assert_int_equal(counts_of(store).objects, 2);
    assert_int_equal(counts_of(store).replaced, 1);

    struct store_answer by_cookie = plain; /* the rule changes: nobody could say what they meant */
    by_cookie.rule = SPAN("cookie");
    put(store, &it, &by_cookie, 4, 100);
    expect(store, &de, 4);
    assert_int_equal(counts_of(store).objects, 1);
    put(store,
        &(struct store_query){.site = 1, .key = it.key, .now_ns = SECOND, .select = it.select},
        &plain, 5, 100);
    expect(store, &blind, 5);
    assert_int_equal(counts_of(store).objects, 1);
    store_close(&store);
}

static void C1_variants_are_bounded(void **state)
{
    (void)state;
    struct store *store = open_store(8 << 20, NULL);
    static char languages[STORE_VARIANTS_MOST + 10][8];
    for (uint64_t i = 0; i < STORE_VARIANTS_MOST + 10; i++) {
        snprintf(languages[i], sizeof languages[i], "x%llu", (unsigned long long)i);
        put_language(store, languages[i], i);
    }
    assert_int_equal(counts_of(store).objects, STORE_VARIANTS_MOST);
    struct store_query oldest = language_query(languages[9]), next = language_query(languages[10]);
    assert_null(store_find(store, &oldest));
    expect(store, &next, 10);
    store_close(&store);
}

/* ---- purges */

static void sweep(struct store *store)
{
    for (int i = 0; i < 10000 && counts_of(store).purges_pending; i++)
        store_tick(store, SECOND);
    assert_int_equal(counts_of(store).purges_pending, 0);
}

static void put_tagged(struct store *store, uint64_t number, const char *tag)
{
    struct store_query query = query_of(key_of(number));
    struct span tags[] = {SPAN("all"), span_text(tag)};
    struct store_answer answer = plain;
    answer.tags = tags;
    answer.tag_count = 2;
    put(store, &query, &answer, number, 100);
}

enum found { GONE, STALE, FRESH };

static enum found look(struct store *store, uint64_t number)
{
    struct store_query query = query_of(key_of(number));
    struct store_object *object = store_find(store, &query);
    enum found found = !object ? GONE : store_object_is_purged(object) ? STALE : FRESH;
    store_object_release(store, &object);
    return found;
}

static void C2_a_purge_is_in_force_at_once(void **state)
{
    (void)state;
    reader_enter();
    for (int is_swept = 0; is_swept < 2; is_swept++)
        for (int is_soft = 0; is_soft < 2; is_soft++) {
            struct store *store = open_store(64 << 20, NULL);
            enum found taken = is_soft ? STALE : GONE;
            for (uint64_t i = 0; i < 4000; i++)
                put_tagged(store, i, i % 2 ? "odd" : "even");
            struct store_purge purge = {.site = 1, .kind = STORE_PURGE_TAG, .is_soft = is_soft};
            purge.what = SPAN("odd");
            assert_int_equal(store_purge(store, &purge), 0);
            if (is_swept)
                sweep(store);
            for (uint64_t i = 0; i < 4000; i++)
                assert_int_equal(look(store, i), i % 2 ? taken : FRESH);
            assert_int_equal(counts_of(store).purged, 2000);
            put_tagged(store, 1, "odd"); /* what comes later is not meant */
            assert_int_equal(look(store, 1), FRESH);

            purge.kind = STORE_PURGE_PREFIX;
            purge.what = SPAN("shop https://www.shop.example/items/20");
            assert_int_equal(store_purge(store, &purge), 0);
            purge.kind = STORE_PURGE_KEY;
            purge.what = key_of(4);
            assert_int_equal(store_purge(store, &purge), 0);
            purge.site = 2;
            purge.kind = STORE_PURGE_SITE;
            assert_int_equal(store_purge(store, &purge), 0);
            if (is_swept)
                sweep(store);
            assert_int_equal(look(store, 20), taken);
            assert_int_equal(look(store, 2002), taken);
            assert_int_equal(look(store, 4), taken);
            assert_int_equal(look(store, 6), FRESH);
            sweep(store);
            assert_int_equal(counts_of(store).purged, 2000 + 1 + 5 + 50 + 1);
            purge.site = 1;
            assert_int_equal(store_purge(store, &purge), 0);
            assert_int_equal(look(store, 6), taken);
            sweep(store);
            assert_int_equal(counts_of(store).objects, is_soft ? 4000 : 0);
            store_close(&store);
        }
    reader_leave();
    snapshot_settle();
}

static void C2_purges_are_numbered_for_each_site(void **state)
{
    (void)state;
    reader_enter();
    struct store *store = open_store(8 << 20, NULL);
    struct store_purge purge = {.kind = STORE_PURGE_TAG, .what = SPAN("a")};
    for (uint64_t site = 0; site < 200; site++)
        for (purge.sequence = 1; purge.sequence < 4; purge.sequence++) {
            purge.site = site * 1000003;
            assert_int_equal(store_purge(store, &purge), 0);
            assert_int_equal(store_purge(store, &purge), ERROR_REPLAY);
        }
    purge.site = 7 * 1000003;
    assert_int_equal(store_purge_sequence(store, purge.site), 3);
    assert_int_equal(store_purge_sequence(store, 12345), 0);
    purge.sequence = 6;
    assert_int_equal(store_purge(store, &purge), ERROR_INCOMPLETE);
    assert_int_equal(store_purge_sequence(store, purge.site), 3);
    purge.kind = STORE_PURGE_SITE; /* over the gap */
    purge.is_soft = true;
    assert_int_equal(store_purge(store, &purge), 0);
    assert_int_equal(store_purge_sequence(store, purge.site), 6);
    purge.sequence = 0;
    int error = 0;
    for (int i = 0; i <= STORE_PURGES_PENDING && !error; i++)
        error = store_purge(store, &purge);
    assert_int_equal(error, ERROR_AGAIN);
    sweep(store);
    assert_int_equal(store_purge(store, &purge), 0);
    store_close(&store);
    reader_leave();
    snapshot_settle();
}

static void C2_a_fill_from_before_a_purge_is_not_kept(void **state)
{
    (void)state;
    reader_enter();
    const struct store_purge purges[] = {
        {.site = 1, .kind = STORE_PURGE_KEY, .what = key_of(1)},
        {.site = 1, .kind = STORE_PURGE_PREFIX, .what = SPAN("shop https://www")},
        {.site = 1, .kind = STORE_PURGE_TAG, .what = SPAN("x"), .is_soft = true},
        {.site = 1, .kind = STORE_PURGE_SITE, .is_soft = true},
    };
    for (size_t i = 0; i < 4; i++) {
        struct store *store = open_store(8 << 20, NULL);
        struct store_query query = query_of(key_of(1));
        struct store_fill *old = begin_fill(store, &query);
        assert_int_equal(store_purge(store, &purges[i]), 0);
        struct store_fill *fresh = begin_fill(store, &query); /* does not wait for the old one */
        sweep(store);
        answer_fill(fresh, &plain, 10);
        fill_with(fresh, 2, 0, 10);
        store_fill_end(&fresh);
        answer_fill(old, &plain, 10);
        fill_with(old, 1, 0, 10);
        store_fill_end(&old);
        expect(store, &query, 2);
        assert_int_equal(look(store, 1), FRESH);
        store_close(&store);
    }
    reader_leave();
    snapshot_settle();
}

static void C2_purges_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct slice_queue log = {0};
    for (uint64_t i = 0; i < 8; i++)
        store_purge_write(&(struct store_purge){.site = i << 40,
                                                .sequence = i,
                                                .kind = (enum store_purge_kind)(i % 4),
                                                .is_soft = i & 1,
                                                .what = key_of(i)},
                          &log);
    uint8_t bytes[1024];
    size_t length = slice_queue_peek(&log, 0, bytes, sizeof bytes), at = 0;
    struct store_purge purge;
    for (uint64_t i = 0; i < 8; i++) {
        for (size_t cut = 0; cut < 30; cut++)
            assert_int_equal(store_purge_read(span_of(bytes + at, cut), &purge), ERROR_INCOMPLETE);
        int used = store_purge_read(span_of(bytes + at, length - at), &purge);
        assert_true(used > 0);
        at += (size_t)used;
        assert_true(purge.site == i << 40 && purge.sequence == i && purge.is_soft == (i & 1) &&
                    purge.kind == i % 4 && span_equal(purge.what, key_of(i)));
    }
    assert_int_equal(at, length);
    bytes[20] = 9;
    assert_int_equal(store_purge_read(span_of(bytes, length), &purge), ERROR_INVALID);
    bytes[0] = 1;
    assert_int_equal(store_purge_read(span_of(bytes, length), &purge), ERROR_INVALID);
    slice_queue_clear(&log);
}

static struct span part_of(struct span name, const char *part, char *out)
{
    size_t length = strlen(part);
    memcpy(out, name.data, name.length);
    out[name.length] = 0;
    memcpy(out + name.length + 1, part, length);
    return span_of(out, name.length + 1 + length);
}

static bool is_there(struct store *store, struct span key, uint64_t seed)
{
    struct store_query query = query_of(key);
    struct store_object *object = store_find(store, &query);
    bool is_right = object && has_body(object, seed, 100);
    store_object_release(store, &object);
    return is_right;
}

static void C2_parts_of_a_name_are_told_apart_and_purged_with_it(void **state)
{
    (void)state;
    char texts[3][128];
    struct store *store = open_store(1 << 20, NULL);
    const struct span name = key_of(1), longer = key_of(11);
    const struct span keys[] = {name, part_of(name, "euro", texts[0]),
                                part_of(name, "dollar", texts[1]), longer,
                                part_of(longer, "euro", texts[2])};
    for (size_t i = 0; i < 5; i++) {
        struct store_query query = query_of(keys[i]);
        put(store, &query, &plain, i, 100);
    }
    for (size_t i = 0; i < 5; i++)
        assert_true(is_there(store, keys[i], i));
    struct store_purge purge = {.site = 1, .kind = STORE_PURGE_KEY, .what = keys[1]};
    assert_int_equal(store_purge(store, &purge), 0); /* one part */
    assert_false(is_there(store, keys[1], 1));
    assert_true(is_there(store, keys[0], 0) && is_there(store, keys[2], 2));
    struct store_query query = query_of(keys[1]);
    struct store_fill *fill = begin_fill(store, &query);
    answer_fill(fill, &plain, 100);
    purge.what = name;
    assert_int_equal(store_purge(store, &purge), 0);
    fill_with(fill, 1, 0, 100);
    store_fill_end(&fill);
    for (size_t i = 0; i < 3; i++)
        assert_false(is_there(store, keys[i], i));
    assert_true(is_there(store, keys[3], 3) && is_there(store, keys[4], 4));
    assert_int_equal(counts_of(store).purged, 3);
    store_close(&store);
}

static void C2_parts_of_a_name_are_bounded(void **state)
{
    (void)state;
    char text[128], part[32];
    struct store *store = open_store(4 << 20, NULL);
    for (uint64_t i = 0; i < STORE_PARTS_MOST + 10; i++) {
        snprintf(part, sizeof part, "%llu", (unsigned long long)i);
        struct store_query query = query_of(part_of(key_of(1), part, text));
        put(store, &query, &plain, i, 100);
    }
    assert_int_equal(counts_of(store).objects, STORE_PARTS_MOST);
    assert_false(is_there(store, part_of(key_of(1), "9", text), 9));
    assert_true(is_there(store, part_of(key_of(1), "10", text), 10));
    store_close(&store);
}

static void C1_what_is_found_most_often_is_the_hottest(void **state)
{
    (void)state;
    char text[128];
    struct store *store = open_store(1 << 20, NULL);
    struct store_hot list[4];
    const struct span part = part_of(key_of(1), "part", text);
    for (uint64_t i = 0; i < 6; i++) {
        struct store_query query = query_of(i < 5 ? key_of(i) : part);
        put(store, &query, &plain, i, 100);
        for (uint64_t k = 0; k < 20 - i * 3 + (i == 5 ? 90 : 0); k++)
            assert_true(is_there(store, query.key, i));
    }
    assert_int_equal(store_hottest(store, 2, list, 4), 0); /* another site */
    assert_int_equal(store_hottest(store, 1, list, 0), 0);
    assert_int_equal(store_hottest(store, 1, list, 4), 4);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(span_equal(span_text(list[i].key), key_of(i)));
        assert_int_equal(list[i].hits, 20 - i * 3);
        memory_free(list[i].key);
    }
    /* Who follows inherits half. */
    struct store_query query = query_of(key_of(0));
    put(store, &query, &plain, 9, 100);
    struct store_object *object = store_find(store, &query);
    assert_int_equal(store_object_hits(object), 21 / 2 + 1);
    assert_true(store_object_claim(object, 1000));
    assert_false(store_object_claim(object, 1000 + STORE_CLAIM_S - 1));
    assert_true(store_object_claim(object, 1000 + STORE_CLAIM_S));
    store_object_release(store, &object);
    store_close(&store);
}

static void C1_a_bad_policy_or_answer_is_refused(void **state)
{
    (void)state;
    struct store *store;
    assert_int_equal(store_open(&store,
                                &(struct store_options){.memory_bytes = 1 << 20, .policy = "mru"}),
                     ERROR_NOT_FOUND);
    store = open_store(1 << 20, NULL);
    struct store_query query = query_of(key_of(1));
    struct store_fill *fill = begin_fill(store, &query);
    struct store_answer answer = plain;
    answer.tag_count = STORE_TAGS_MOST + 1;
    assert_int_equal(store_fill_answer(&fill, &answer, 5, SECOND), ERROR_LIMIT);
    assert_null(fill);
    static uint8_t long_key[STORE_KEY_MOST + 1];
    struct store_query too_long = query_of(span_of(long_key, sizeof long_key));
    struct store_reader reader = {0};
    struct store_joined joined;
    assert_null(store_find(store, &too_long));
    assert_int_equal(store_join(store, &too_long, NULL, &reader, &joined), STORE_ALONE);
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_what_was_kept_is_found),
        cmocka_unit_test(C1_an_unknown_length_leaves_no_waste),
        cmocka_unit_test(C2_the_budget_holds),
        cmocka_unit_test(C2_what_is_being_sent_stays),
        cmocka_unit_test(C1_variants_are_told_apart),
        cmocka_unit_test(C1_variants_are_bounded),
        cmocka_unit_test(C2_a_purge_is_in_force_at_once),
        cmocka_unit_test(C2_purges_are_numbered_for_each_site),
        cmocka_unit_test(C2_a_fill_from_before_a_purge_is_not_kept),
        cmocka_unit_test(C2_purges_are_read_as_they_were_written),
        cmocka_unit_test(C2_parts_of_a_name_are_told_apart_and_purged_with_it),
        cmocka_unit_test(C2_parts_of_a_name_are_bounded),
        cmocka_unit_test(C1_what_is_found_most_often_is_the_hottest),
        cmocka_unit_test(C1_a_bad_policy_or_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
