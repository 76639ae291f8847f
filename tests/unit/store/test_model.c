/* SPDX-License-Identifier: Apache-2.0
 *
 * Random operations against a simple model of what a store with room enough holds: a table that is looked through.
 */
#include "kept.h"

enum { KEYS = 40, SELECTORS = 3, OPERATIONS = 40000 };

static struct modelled {
    bool is_there, is_stale;
    uint64_t seed, size;
} model[KEYS][SELECTORS];

static uint32_t select_number(void *context, struct span rule,
                              uint8_t selector[STORE_SELECTOR_MOST])
{
    (void)rule;
    selector[0] = *(const uint8_t *)context;
    return 1;
}

/* Odd keys vary, even ones do not. */
static struct store_query ask(uint64_t key, const uint8_t *selector)
{
    struct store_query query = query_of(key_of(key));
    query.select = select_number;
    query.context = (void *)(uintptr_t)selector;
    return query;
}

static const char *tag_of(uint64_t key)
{
    static const char *const tags[] = {"red", "green", "blue"};
    return tags[key % 3];
}

/* Some fills fail, or are passed: then nothing changes. */
static void fill(struct store *store, struct random *random, uint64_t key, uint8_t selector)
{
    struct store_query query = ask(key, &selector);
    struct span tags[] = {span_text(tag_of(key))};
    struct store_answer answer = {.head = SPAN("head"), .tags = tags, .tag_count = 1};
    if (key % 2) {
        answer.rule = SPAN("number");
        answer.selector = span_of(&selector, 1);
    }
    struct modelled *entry = &model[key][key % 2 ? selector : 0];
    struct store_object *seen = store_find(store, &query);
    struct store_reader reader = {0};
    struct store_joined joined;
    assert_int_equal(store_join(store, &query, seen, &reader, &joined), STORE_FILL);
    uint64_t seed = random_u64(random), size = random_below(random, 40000);
    switch (random_below(random, 8)) {
    case 0:
        store_fill_fail(&joined.fill);
        break;
    case 1:
        store_fill_pass(&joined.fill, SECOND, 0);
        break;
    case 2:
        if (!seen) {
            store_fill_leave(&joined.fill);
            break;
        }
        store_fill_refresh(&joined.fill, seen, &answer);
        entry->is_stale = false;
        break;
    default:
        answer_fill(joined.fill, &answer, random_below(random, 2) ? (int64_t)size : -1);
        fill_with(joined.fill, seed, 0, size / 2);
        fill_with(joined.fill, seed, size / 2, size - size / 2);
        store_fill_end(&joined.fill);
        *entry = (struct modelled){.is_there = true, .seed = seed, .size = size};
    }
    store_object_release(store, &seen);
}

static void purge(struct store *store, struct random *random)
{
    char prefix[64];
    uint64_t which = random_below(random, KEYS);
    struct store_purge purge = {.site = 1,
                                .kind = (enum store_purge_kind)random_below(random, 4),
                                .is_soft = random_below(random, 2)};
    if (purge.kind == STORE_PURGE_SITE && random_below(random, 8))
        purge.site = 2; /* nothing of it is there */
    if (purge.kind == STORE_PURGE_KEY)
        purge.what = key_of(which);
    else if (purge.kind == STORE_PURGE_TAG)
        purge.what = span_text(tag_of(which));
    else if (purge.kind == STORE_PURGE_PREFIX)
        purge.what = span_of(prefix, (size_t)snprintf(prefix, sizeof prefix, "%.*s",
                                                      SPAN_ARGS(key_of(which))));
    assert_int_equal(store_purge(store, &purge), 0);
    for (uint64_t key = 0; key < KEYS; key++) {
        bool is_meant = purge.site == 1;
        if (purge.kind == STORE_PURGE_KEY)
            is_meant = key == which;
        else if (purge.kind == STORE_PURGE_TAG)
            is_meant = key % 3 == which % 3;
        else if (purge.kind == STORE_PURGE_PREFIX)
            is_meant = span_starts(key_of(key), purge.what);
        for (int i = 0; is_meant && i < SELECTORS; i++) {
            model[key][i].is_stale = true;
            model[key][i].is_there &= purge.is_soft;
        }
    }
}

static void look(struct store *store, uint64_t key, uint8_t selector)
{
    struct store_query query = ask(key, &selector);
    const struct modelled *entry = &model[key][key % 2 ? selector : 0];
    struct store_object *object = store_find(store, &query);
    assert_int_equal(object != NULL, entry->is_there);
    if (object) {
        assert_int_equal(store_object_is_purged(object), entry->is_stale);
        assert_true(has_body(object, entry->seed, entry->size));
    }
    store_object_release(store, &object);
}

static void C1_C2_the_store_does_what_the_model_does(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 2026);
    reader_enter();
    struct store *store = open_store(256 << 20, NULL);
    for (int i = 0; i < OPERATIONS; i++) {
        uint64_t key = random_below(&random, KEYS), dice = random_below(&random, 100);
        uint8_t selector = (uint8_t)random_below(&random, SELECTORS);
        if (dice < 30)
            fill(store, &random, key, selector);
        else if (dice < 33)
            purge(store, &random);
        else if (dice < 40)
            store_tick(store, SECOND);
        else
            look(store, key, selector);
    }
    for (int i = 0; i < 100 && counts_of(store).purges_pending; i++)
        store_tick(store, SECOND);
    uint64_t expected = 0;
    for (uint64_t key = 0; key < KEYS; key++)
        for (uint8_t i = 0; i < SELECTORS; i++)
            expected += model[key][i].is_there;
    assert_int_equal(counts_of(store).purges_pending, 0);
    assert_int_equal(counts_of(store).objects, expected);
    assert_int_equal(counts_of(store).evictions, 0);
    store_close(&store);
    reader_leave();
    snapshot_settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_C2_the_store_does_what_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
