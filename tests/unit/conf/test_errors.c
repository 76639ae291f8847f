/* SPDX-License-Identifier: Apache-2.0
 *
 * Every mistake gets a sentence with its place, and the reader stays within its limits.
 */
#include "tests/unit/conf/bad_origins.h"
#include "tests/unit/conf/bad_relations.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include "base/memory.h"

enum {
    BAD_FILES = sizeof bad_files / sizeof *bad_files,
    BAD_ORIGINS = sizeof bad_origins / sizeof *bad_origins,
    BAD_RELATIONS = sizeof bad_relations / sizeof *bad_relations,
};

#define SECRET "e5e973e5a6b2a43f48e7dc849e37bfcf\n"

static const struct canned_file files[] = {
    {"/conf/a.key", PRIVATE_KEY_A "\n", true},
    {"/conf/b.key", PRIVATE_KEY_B "\n", true},
    {"/conf/open.key", PRIVATE_KEY_A "\n", false},
    {"/conf/short.key", "AAAA\n", true},
    {"/conf/five.secrets", SECRET SECRET SECRET SECRET "# four are enough\n" SECRET, true},
    {"/conf/short.secrets", SECRET "e5e973e5\n", true},
    {"/conf/odd.secrets", "e5e973e5a6b2a43f48e7dc849e37bfcx\n", true},
    {"/conf/no.secrets", "\n# none\n", true},
    {"/conf/bad.cidr", "# remark\nhello\n 198.51.100.0/24 # good\n192.0.2.1/24\n", false},
    {0},
};

/* The findings without "/conf/c.yaml:" in front of each. */
static char *findings_of(const char *content, const char *node, bool *is_good)
{
    static const char prefix[] = "/conf/c.yaml:";
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0}, bare = {0};
    struct conf *conf = conf_load("/conf/c.yaml", span_text(content), node, &reader, &errors);
    *is_good = conf != NULL;
    conf_free(conf);
    struct span rest = text_span(&errors);
    while (rest.length) {
        assert_true(span_starts(rest, SPAN("/conf/c.yaml:")));
        size_t length = span_find(rest, '\n');
        text_add_span(&bare, span_of(rest.data + sizeof prefix - 1, length + 2 - sizeof prefix));
        rest = span_from(rest, length + 1);
    }
    text_add(&bare, "");
    text_clear(&errors);
    return bare.data;
}

static bool is_told(const struct bad_file *file)
{
    bool is_good, has_error = false;
    const char *node = strncmp(file->name, "node: ", 6) == 0 ? NULL : CONF_NO_NODE;
    char *findings = findings_of(file->text, node, &is_good);
    for (const char *line = file->expected; *line; line = strchr(line, '\n') + 1) {
        const char *warning = strstr(line, "warning: ");
        has_error |= !warning || warning > strchr(line, '\n');
    }
    bool is_right = strcmp(findings, file->expected) == 0 && is_good != has_error;
    if (!is_right)
        print_message("%s:\n got\n%s expected\n%s", file->name, findings, file->expected);
    memory_free(findings);
    return is_right;
}

static void every_mistake_is_told_with_its_place(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < BAD_FILES; i++)
        wrong += !is_told(&bad_files[i]);
    for (size_t i = 0; i < BAD_ORIGINS; i++)
        wrong += !is_told(&bad_origins[i]);
    for (size_t i = 0; i < BAD_RELATIONS; i++)
        wrong += !is_told(&bad_relations[i]);
    assert_int_equal(wrong, 0);
}

/* Ten anchors, each ten times the one before. */
static void aliases_cannot_expand_to_billions(void **state)
{
    (void)state;
    struct text text = {0};
    text_add(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        text_add_format(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            text_add_format(&text, "%s*a%d", k ? ", " : "", i - 1);
        text_add(&text, "]\n");
    }
    bool is_good;
    char *findings = findings_of(text.data, CONF_NO_NODE, &is_good);
    assert_false(is_good);
    assert_non_null(strstr(findings, "more than 4194304 values, aliases expanded"));
    memory_free(findings);
    text_clear(&text);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const char brackets[] =
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";
    bool is_good;
    char *findings = findings_of(brackets, CONF_NO_NODE, &is_good);
    assert_false(is_good);
    assert_non_null(strstr(findings, "more than 32 levels within one another"));
    memory_free(findings);
}

static void only_so_many_errors_are_shown(void **state)
{
    (void)state;
    struct text text = {0};
    text_add(&text, "nodes: { me: { gateway: { dial: [] } } }\n");
    for (int i = 0; i < 60; i++)
        text_add_format(&text, "setting-%d: 1\n", i);
    bool is_good;
    char *findings = findings_of(text.data, CONF_NO_NODE, &is_good);
    size_t lines = 0;
    for (const char *at = findings; (at = strchr(at, '\n')); at++)
        lines++;
    assert_false(is_good);
    assert_int_equal(lines, CONF_ERRORS_LIMIT + 1);
    assert_non_null(strstr(findings, " 10 more not shown\n"));
    memory_free(findings);
    text_clear(&text);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    (void)state;
    size_t length = (size_t)CONF_FILE_BYTES + 1;
    char *content = memory_raw(length + 1);
    memset(content, ' ', length);
    content[length] = 0;
    bool is_good;
    char *findings = findings_of(content, CONF_NO_NODE, &is_good);
    assert_false(is_good);
    assert_string_equal(findings, " the file is larger than 16777216 bytes\n");
    memory_free(findings);
    memory_free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_told_with_its_place),
        cmocka_unit_test(aliases_cannot_expand_to_billions),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(only_so_many_errors_are_shown),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
