/* SPDX-License-Identifier: Apache-2.0
 *
 * Sorted names and binary search: some 17 comparisons for a hundred thousand, of which a handshake takes two.
 */
#include "tls/names.h"

#include "base/memory.h"

#include <stdlib.h>

void tls_names_add(struct tls_names *names, const char *name, size_t number)
{
    bool is_wildcard = name[0] == '*' && name[1] == '.';
    if (names->count == names->capacity) {
        names->capacity = names->capacity ? names->capacity * 2 : 16;
        names->items = memory_resize(names->items, names->capacity, sizeof *names->items);
    }
    names->items[names->count++] =
        (struct tls_name){span_text(name + (is_wildcard ? 1 : 0)), is_wildcard, number};
}

static int compare_keys(const struct tls_name *a, const struct tls_name *b)
{
    size_t shared = a->text.length < b->text.length ? a->text.length : b->text.length;
    int order = shared ? memcmp(a->text.data, b->text.data, shared) : 0;
    if (order == 0)
        order = (a->text.length > b->text.length) - (a->text.length < b->text.length);
    return order ? order : a->is_wildcard - b->is_wildcard;
}

bool tls_name_is_same(const struct tls_name *a, const struct tls_name *b)
{
    return compare_keys(a, b) == 0;
}

/* Numbers were given in the order in which names were added. */
static int compare(const void *left, const void *right)
{
    const struct tls_name *a = left, *b = right;
    int order = compare_keys(a, b);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

void tls_names_sort(struct tls_names *names)
{
    if (names->count)
        qsort(names->items, names->count, sizeof *names->items, compare);
}

void tls_names_clear(struct tls_names *names)
{
    memory_free(names->items);
    *names = (struct tls_names){0};
}

static long find(const struct tls_names *names, struct tls_name key)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&names->items[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < names->count && compare_keys(&names->items[low], &key) == 0;
    return is_found ? (long)names->items[low].number : TLS_NAME_NONE;
}

long tls_names_find(const struct tls_names *names, struct span host, bool is_deep)
{
    long number = find(names, (struct tls_name){.text = host});
    for (size_t dot = span_find(host, '.'); number < 0 && dot && dot < host.length;
         dot = span_find(host, '.')) {
        host = span_from(host, dot);
        number = find(names, (struct tls_name){host, true, 0});
        if (!is_deep)
            break;
        host = span_from(host, 1);
    }
    return number;
}
