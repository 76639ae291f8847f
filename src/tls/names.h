/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: names and wildcards with a number each, sorted once, then looked up without a lock.
 */
#ifndef TLS_NAMES_H
#define TLS_NAMES_H

#include "base/span.h"

struct tls_name {
    struct span text; /* of a wildcard, what is behind the star, with its dot */
    bool is_wildcard;
    size_t number;
};

/* Zero-initialised is empty. The texts are borrowed, in lower case. */
struct tls_names {
    struct tls_name *items;
    size_t count, capacity;
};

enum { TLS_NAME_NONE = -1 };

void tls_names_add(struct tls_names *names, const char *name, size_t number);
bool tls_name_is_same(const struct tls_name *a, const struct tls_name *b); /* but for the number */
/* Before the first look-up; of equal names those that were added first come first. */
void tls_names_sort(struct tls_names *names);
void tls_names_clear(struct tls_names *names);
/* The number of the exact name, else of the nearest wildcard; TLS_NAME_NONE. `is_deep`: a wildcard stands for several labels too. */
long tls_names_find(const struct tls_names *names, struct span host, bool is_deep);

#endif
