/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration from text, for tests of what uses one. Its keys are files that exist only here: "a.key", "b.key", "c.key".
 */
#ifndef TESTS_UNIT_NETWORK_H
#define TESTS_UNIT_NETWORK_H

#include "conf/canned.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#define NETWORK_A "public_key: \"" KEY_A "\", private_key: a.key"
#define NETWORK_B "public_key: \"" KEY_B "\", private_key: b.key"
#define NETWORK_C "public_key: \"" KEY_C "\", private_key: c.key"

static inline struct conf *network_load(const char *text, const char *node)
{
    static const struct canned_file files[] = {{"a.key", PRIVATE_KEY_A "\n", true},
                                               {"b.key", PRIVATE_KEY_B "\n", true},
                                               {"c.key", PRIVATE_KEY_C "\n", true},
                                               {0}};
    struct conf_reader reader = canned_reader(files);
    struct text errors = {0};
    struct conf *conf = conf_load("test.yaml", span_text(text), node, &reader, &errors);
    if (!conf)
        fail_msg("%s", errors.data);
    text_clear(&errors);
    return conf;
}

/* As conf_source: `owner` is a pointer to the pointer to the present one. */
static inline const struct conf *network_current(const void *owner)
{
    return *(struct conf *const *)owner;
}

#endif
