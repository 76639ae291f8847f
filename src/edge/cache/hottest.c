/* SPDX-License-Identifier: Apache-2.0
 *
 * What visitors of a site ask this edge for most, for people and for the edge that they warm by it (S10).
 */
#include "base/memory.h"
#include "edge/private.h"
#include "purge/purge.h"
#include "store/store.h"

#include <limits.h>

/* {"verb": "hot", "site": NAME, "most": N} */
json_t *edge_hottest(const struct edge *edge, const json_t *question)
{
    enum { MOST_PRESET = 1000 };
    struct span name = span_text(json_string_value(json_object_get(question, "site")));
    json_int_t most = json_integer_value(json_object_get(question, "most"));
    if (most < 1 || most > STORE_HOTTEST_MOST)
        most = MOST_PRESET;
    if (!name.length || !conf_find_site(conf_current(&edge->options.conf), name))
        return json_pack("{s:s}", "error", "there is no such site");
    struct store_hot *list = memory_new((size_t)most * sizeof *list);
    size_t count =
        edge->store ? store_hottest(edge->store, purge_site(name), list, (size_t)most) : 0;
    json_t *urls = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *url = strchr(list[i].key, ' '); /* behind the site's name */
        bool is_again = false;
        for (size_t k = 0; k < i && !is_again; k++)
            is_again = strcmp(list[k].key, list[i].key) == 0; /* a variant */
        if (url && !is_again)
            json_array_append_new(urls, json_pack("{s:s, s:i}", "url", url + 1, "hits",
                                                  (int)(list[i].hits & INT_MAX)));
    }
    for (size_t i = 0; i < count; i++)
        memory_free(list[i].key);
    memory_free(list);
    return json_pack("{s:o}", "hot", urls);
}
