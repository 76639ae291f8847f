/* SPDX-License-Identifier: Apache-2.0
 *
 * Which type a request is: by rules, by what was learnt, by a guess; and names that are refused.
 */
#include "base/memory.h"
#include "types/types.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
// clang-format on

static char complaints_text[512];

static void complain(void *argument, const void *member, const char *sentence)
{
    (void)argument;
    (void)member;
    size_t length = strlen(complaints_text);
    snprintf(complaints_text + length, sizeof complaints_text - length, "%s\n", sentence);
}

static const struct rules_complaints complaints = {.add = complain};

static struct types *compile(const struct types_rule *rows, size_t count)
{
    complaints_text[0] = '\0';
    const struct types_settings settings = {(struct types_rule *)(uintptr_t)rows, count, true};
    return types_compile(&settings, &complaints);
}

struct fixture {
    struct arena arena;
    struct http_head head;
    struct rules_matcher *matcher;
    struct types_learner *learner;
};

static int set_up(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    fixture->matcher = rules_matcher_new(1);
    fixture->learner = types_learner_new(2);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    rules_matcher_free(&fixture->matcher);
    types_learner_free(&fixture->learner);
    arena_clear(&fixture->arena);
    memory_free(fixture);
    return 0;
}

static struct types_found recognise(struct fixture *fixture, const struct types *types,
                                    const char *method, const char *target)
{
    struct types_found found;
    http_head_init(&fixture->head, &fixture->arena);
    fixture->head.method_text = span_text(method);
    fixture->head.method = http_method_of(span_text(method));
    fixture->head.target = span_text(target);
    const struct rules_facts facts = {.head = &fixture->head,
                                      .rtt_us = RULES_UNKNOWN,
                                      .loss_ppm = RULES_UNKNOWN,
                                      .load_percent = RULES_UNKNOWN};
    types_recognise(types, fixture->learner, fixture->matcher, 7, &facts, &fixture->arena, &found);
    return found;
}

static void learn(struct fixture *fixture, const char *method, const char *target, unsigned times,
                  uint64_t first_byte_ns, uint64_t bytes)
{
    for (unsigned i = 0; i < times; i++) {
        struct types_found found = recognise(fixture, NULL, method, target);
        types_learn(fixture->learner, &found, first_byte_ns, bytes, 1000000000);
    }
}

#define MS 1000000ull

static void L7_guesses_by_the_head(void **state)
{
    static const struct {
        const char *method, *target;
        uint8_t type;
    } rows[] = {
        {"GET", "/", TYPES_DYNAMIC},
        {"GET", "/style.css", TYPES_STATIC},
        {"GET", "/a/LOGO.PNG?v=3", TYPES_STATIC},
        {"HEAD", "/film.mp4", TYPES_MULTIMEDIA},
        {"GET", "/film.mp4/page", TYPES_DYNAMIC},
        {"GET", "/index.php?x=a.css", TYPES_DYNAMIC},
        {"GET", "/.css", TYPES_STATIC},
        {"GET", "css", TYPES_DYNAMIC},
        {"GET", "/a.extremelylong", TYPES_DYNAMIC},
        {"GET", "/a.", TYPES_DYNAMIC},
        {"POST", "/style.css", TYPES_DYNAMIC},
        {"OPTIONS", "*", TYPES_DYNAMIC},
        {"GET", "", TYPES_DYNAMIC},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct types_found found = recognise(*state, NULL, rows[i].method, rows[i].target);
        assert_int_equal(found.by, TYPES_BY_GUESS);
        assert_int_equal(found.type, rows[i].type);
    }
}

static void L7_a_browser_says_what_it_is_for(void **state)
{
    struct fixture *fixture = *state;
    struct types_found found;
    http_head_init(&fixture->head, &fixture->arena);
    fixture->head.method = HTTP_METHOD_GET;
    fixture->head.target = SPAN("/media/17");
    assert_int_equal(
        http_fields_add_text(&fixture->head.fields, SPAN("sec-fetch-dest"), SPAN("video")), 0);
    const struct rules_facts facts = {.head = &fixture->head};
    types_recognise(NULL, NULL, fixture->matcher, 7, &facts, &fixture->arena, &found);
    assert_int_equal(found.type, TYPES_MULTIMEDIA);
}

static void L7_the_first_rule_that_fits_names_the_type(void **state)
{
    const char *search[] = {"/search*"}, *all[] = {"/*"}, *post[] = {"POST"};
    struct rules_match match_search = {.paths = {search, 1}}, match_all = {.paths = {all, 1}},
                       match_post = {.methods = {post, 1}};
    const struct types_rule rows[] = {{"search", &match_search, RULES_YES},
                                      {"database", &match_post, RULES_UNSAID},
                                      {"search", NULL, RULES_UNSAID},
                                      {"static", &match_all, RULES_NO}};
    assert_null(compile(rows, 4));
    assert_non_null(strstr(complaints_text, "says nothing of its type"));
    const struct types_rule good[] = {rows[0], rows[1], rows[3]};
    struct types *types = compile(good, 3);
    assert_non_null(types);
    uint8_t number;
    assert_int_equal(types_count(types), TYPES_BUILTIN + 1);
    assert_int_equal(types_find(types, "search", &number), 0);
    struct types_found found = recognise(*state, types, "POST", "/search?q=1");
    assert_int_equal(found.by, TYPES_BY_RULE);
    assert_int_equal(found.type, number);
    assert_true(found.is_repeatable && found.is_hedgeable); /* declared, though a POST */
    found = recognise(*state, types, "POST", "/order");
    assert_int_equal(found.type, TYPES_DATABASE);
    assert_false(found.is_repeatable);
    found = recognise(*state, types, "GET", "/a");
    assert_int_equal(found.type, TYPES_STATIC);
    assert_false(found.is_repeatable); /* declared, though a GET */
    types_free(&types);
    assert_null(types);
}

static void L7_methods_say_what_may_be_repeated(void **state)
{
    struct types_found found = recognise(*state, NULL, "GET", "/");
    assert_true(found.is_repeatable && found.is_hedgeable);
    found = recognise(*state, NULL, "DELETE", "/a");
    assert_true(found.is_repeatable && !found.is_hedgeable);
    found = recognise(*state, NULL, "POST", "/a");
    assert_false(found.is_repeatable || found.is_hedgeable);
}

static void L7_bad_rows_are_refused(void **state)
{
    (void)state;
    const char *path[] = {"/a"}, *bad[] = {"~ ("}, *de[] = {"DE"};
    struct rules_match good = {.paths = {path, 1}}, broken = {.paths = {bad, 1}},
                       country = {.countries = {de, 1}}, link = {.rtt_above_ns = 1};
    struct rules_match nested = {.any = &country, .any_count = 1};
    const struct {
        struct types_rule row;
        const char *says;
    } rows[] = {
        {{"Search", &good, 0}, "lower-case"},
        {{"", &good, 0}, "lower-case"},
        {{"a", &broken, 0}, "parenthes"},
        {{"a", &country, 0}, "a gateway does not know"},
        {{"a", &link, 0}, "a gateway does not know"},
        {{"a", &nested, 0}, "a gateway does not know"},
        {{"a", NULL, 0}, "says nothing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_null(compile(&rows[i].row, 1));
        if (!strstr(complaints_text, rows[i].says))
            fail_msg("row %zu: %s", i, complaints_text);
    }
    const struct types_rule contrary[] = {{"a", &good, RULES_YES}, {"a", &good, RULES_NO}};
    assert_null(compile(contrary, 2));
    assert_non_null(strstr(complaints_text, "the contrary"));
    struct types_rule many[TYPES_MOST];
    char names[TYPES_MOST][8];
    for (int i = 0; i < TYPES_MOST; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        many[i] = (struct types_rule){names[i], &good, 0};
    }
    struct types *types = compile(many, TYPES_MOST - TYPES_BUILTIN);
    assert_non_null(types);
    types_free(&types);
    assert_null(compile(many, TYPES_MOST - TYPES_BUILTIN + 1));
    assert_non_null(strstr(complaints_text, "at most 16"));
}

static void L7_learns_what_a_page_costs(void **state)
{
    struct fixture *fixture = *state;
    learn(fixture, "GET", "/report", 7, 400 * MS, 3000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/report").by, TYPES_BY_GUESS);
    learn(fixture, "GET", "/report", 1, 400 * MS, 3000);
    struct types_found found = recognise(fixture, NULL, "GET", "/report?page=3");
    assert_int_equal(found.by, TYPES_BY_LEARNING);
    assert_int_equal(found.type, TYPES_DATABASE);
    learn(fixture, "GET", "/watch/17", 8, 2 * MS, 5 << 20);
    assert_int_equal(recognise(fixture, NULL, "GET", "/watch/18").type, TYPES_MULTIMEDIA);
    learn(fixture, "GET", "/about", 8, 1 * MS, 9000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/about").type, TYPES_STATIC);
    learn(fixture, "POST", "/vote", 8, 1 * MS, 100);
    assert_int_equal(recognise(fixture, NULL, "POST", "/vote").type, TYPES_DYNAMIC);
    const struct types_settings settings = {.learns = false};
    struct types *types = types_compile(&settings, &complaints);
    assert_int_equal(recognise(fixture, types, "GET", "/report").by, TYPES_BY_GUESS);
    types_free(&types);
}

static void L7_neighbours_tell_of_new_paths(void **state)
{
    struct fixture *fixture = *state;
    static const char *const hats[] = {"/hats/red",  "/hats/blue", "/hats/grey", "/hats/green",
                                       "/hats/pink", "/hats/tall", "/hats/flat", "/hats/old"};
    for (size_t i = 0; i < 8; i++)
        learn(fixture, "GET", hats[i], 1, 300 * MS, 4000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/hats/new").type, TYPES_DATABASE);
    assert_int_equal(recognise(fixture, NULL, "GET", "/hats/new.css").type, TYPES_STATIC);
    assert_int_equal(recognise(fixture, NULL, "GET", "/caps/new").type, TYPES_DYNAMIC);
    assert_int_equal(recognise(fixture, NULL, "POST", "/hats/new").by, TYPES_BY_GUESS);
}

static void L7_a_page_near_a_mark_keeps_its_type(void **state)
{
    struct fixture *fixture = *state;
    learn(fixture, "GET", "/edge", 40, 90 * MS, 3000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/edge").type, TYPES_DYNAMIC);
    learn(fixture, "GET", "/edge", 200, 115 * MS, 3000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/edge").type, TYPES_DYNAMIC);
    learn(fixture, "GET", "/edge", 200, 200 * MS, 3000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/edge").type, TYPES_DATABASE);
    learn(fixture, "GET", "/edge", 200, 90 * MS, 3000);
    assert_int_equal(recognise(fixture, NULL, "GET", "/edge").type, TYPES_DATABASE);
}

static void L7_strangers_paths_take_no_memory(void **state)
{
    struct fixture *fixture = *state;
    char target[32];
    learn(fixture, "GET", "/kept", 32, 300 * MS, 100);
    for (int i = 0; i < 30000; i++) {
        int length = snprintf(target, sizeof target, "/");
        for (int rest = i + 1; rest; rest /= 26)
            length += snprintf(target + length, 2, "%c", 'a' + rest % 26);
        struct types_found found = recognise(fixture, NULL, "GET", target);
        types_learn(fixture->learner, &found, 1 * MS, 100, 5000000000);
    }
    assert_int_equal(recognise(fixture, NULL, "GET", "/zzzzz").type, TYPES_DYNAMIC);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(L7_guesses_by_the_head),
        TEST(L7_a_browser_says_what_it_is_for),
        TEST(L7_the_first_rule_that_fits_names_the_type),
        TEST(L7_methods_say_what_may_be_repeated),
        TEST(L7_bad_rows_are_refused),
        TEST(L7_learns_what_a_page_costs),
        TEST(L7_neighbours_tell_of_new_paths),
        TEST(L7_a_page_near_a_mark_keeps_its_type),
        TEST(L7_strangers_paths_take_no_memory),
    };
    return cmocka_run_group_tests_name("types", tests, NULL, NULL);
}
