/* SPDX-License-Identifier: Apache-2.0
 *
 * Error texts, and the one way in which a process ends itself on purpose.
 */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

const char *error_text(int error)
{
    switch (error) {
    case 0:
        return "success";
#define X(name, value, text) \
    case value:              \
        return text;
        ERROR_LIST(X)
#undef X
    }
    return "unknown error";
}

void invariant_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "causeway: broken invariant at %s:%d: %s\n", file, line, condition);
    abort();
}
