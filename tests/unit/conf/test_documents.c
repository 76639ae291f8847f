/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written from the schema table: the reference in docs/ is what the program prints, the JSON schema is
 * JSON and says the same as the reader, the examples are good.
 */
#include "tests/unit/conf/canned.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>

static const char *docs; /* the folder */

static void read_doc(const char *name, char path[512], struct text *content)
{
    struct text why = {0};
    snprintf(path, 512, "%s/%s", docs, name);
    assert_int_equal(conf_read_file(path, content, &why), 0);
}

static void the_reference_in_docs_is_current(void **state)
{
    (void)state;
    char path[512];
    struct text kept = {0}, written = {0};
    read_doc("configuration.md", path, &kept);
    conf_write_reference(&written);
    if (strcmp(kept.data, written.data) != 0)
        fail_msg("%s is old: causeway config reference > %s", path, path);
    text_clear(&kept);
    text_clear(&written);
}

static json_t *schema(void)
{
    struct text text = {0};
    json_error_t error;
    conf_write_schema(&text);
    json_t *root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("line %d: %s", error.line, error.text);
    text_clear(&text);
    return root;
}

/* "a/b" below "properties" of one another; a map's settings are below ".". */
static json_t *find(json_t *at, const char *path)
{
    char part[64];
    while (*path) {
        size_t length = strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        at = part[0] == '.' ? json_object_get(at, "additionalProperties")
                            : json_object_get(json_object_get(at, "properties"), part);
        assert_non_null(at);
        path += length + (path[length] == '/');
    }
    return at;
}

static void the_schema_says_what_the_reader_does(void **state)
{
    (void)state;
    json_t *root = schema();
    assert_string_equal(json_string_value(json_object_get(root, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    json_t *ring = find(root, "sites/./ring");
    assert_int_equal(json_integer_value(json_object_get(ring, "maximum")), 4);
    assert_int_equal(json_integer_value(json_object_get(ring, "default")), 2);
    json_t *weights = find(root, "link/weights");
    assert_int_equal(json_integer_value(json_object_get(weights, "minItems")), 5);
    assert_int_equal(json_array_size(json_object_get(weights, "default")), 5);
    assert_true(json_is_false(
        json_object_get(find(root, "nodes/./edge/timeouts"), "additionalProperties")));
    json_t *format = find(root, "nodes/./edge/access_log/format");
    assert_string_equal(json_string_value(json_array_get(json_object_get(format, "enum"), 1)),
                        "combined");
    json_t *admin = json_object_get(find(root, "nodes/./admin"), "anyOf");
    assert_string_equal(json_string_value(json_object_get(json_array_get(admin, 0), "const")),
                        "off");
    assert_non_null(find(json_array_get(admin, 1), "hosts"));
    json_decref(root);
}

static void the_manual_has_every_section(void **state)
{
    (void)state;
    struct text text = {0};
    conf_write_manual(&text);
    assert_non_null(strstr(text.data, ".TH CAUSEWAY.YAML 5\n"));
    assert_non_null(strstr(text.data, ".SH \"nodes.NAME.edge.ports[]\"\n"));
    assert_non_null(strstr(text.data, ".B timeouts.header\n"));
    text_clear(&text);
}

static void examples_are_good(void **state)
{
    (void)state;
    char folder[512], path[768];
    snprintf(folder, sizeof folder, "%s/examples", docs);
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (!strstr(entry->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof path, "examples/%s", entry->d_name);
        char file[512];
        struct text content = {0}, errors = {0};
        struct conf_reader reader = conf_file_reader();
        read_doc(path, file, &content);
        struct conf *conf = conf_load(file, text_span(&content), CONF_NO_NODE, &reader, &errors);
        if (errors.length)
            fail_msg("%s", errors.data);
        assert_non_null(conf);
        conf_free(conf);
        text_clear(&content);
        count++;
    }
    closedir(entries);
    assert_true(count >= 4);
}

static void the_example_of_the_readme_is_the_one_that_is_tried(void **state)
{
    (void)state;
    char path[512];
    struct text readme = {0}, example = {0};
    read_doc("../README.md", path, &readme);
    read_doc("examples/one-machine.yaml", path, &example);
    const char *behind_comment = strchr(example.data, '\n') + 1;
    assert_non_null(strstr(readme.data, behind_comment));
    text_clear(&readme);
    text_clear(&example);
}

int main(int count, char **words)
{
    docs = count > 1 ? words[1] : "docs";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_in_docs_is_current),
        cmocka_unit_test(the_schema_says_what_the_reader_does),
        cmocka_unit_test(the_manual_has_every_section),
        cmocka_unit_test(examples_are_good),
        cmocka_unit_test(the_example_of_the_readme_is_the_one_that_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
