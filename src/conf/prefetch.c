/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of what edges fetch ahead (C1): those of sites, and the file of this node's edge.
 */
#include "conf/load.h"

enum { PREFETCH_FILE_BYTES = 32 << 20, PREFETCH_URL_BYTES = 8192 };

/* Of the form alone: whether there is such a site is seen when it is fetched. */
static bool is_url(struct span text, bool may_be_path)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    if (text.length > PREFETCH_URL_BYTES)
        return false;
    return span_starts(text, SPAN("http://")) || span_starts(text, SPAN("https://")) ||
           (may_be_path && text.length && text.data[0] == '/');
}

static void read_line(struct loader *loader, struct conf_edge *edge, struct span line,
                      unsigned number)
{
    if (line.length && line.data[line.length - 1] == '\r')
        line.length--;
    line = span_trim(line);
    if (!line.length || line.data[0] == '#')
        return;
    if (is_url(line, false))
        edge->prefetch.items[edge->prefetch.count++] =
            (const char *)arena_copy(&loader->conf->arena, line).data;
    else
        report_error(&loader->report, place_of(loader, &edge->prefetch_path),
                     "prefetch: %s:%u: %s is not a URL like https://www.shop.example/index.html",
                     edge->prefetch_path, number, report_quote(&loader->report, line));
}

void read_prefetch_file(struct loader *loader)
{
    struct conf_edge *edge = loader->conf->self ? loader->conf->self->edge : NULL;
    struct text content = {.limit = PREFETCH_FILE_BYTES}, why = {0};
    if (!edge || !edge->prefetch_path)
        return;
    if (loader->reader->read(loader->reader->argument, edge->prefetch_path, false, &content, &why) <
        0)
        report_error(&loader->report, place_of(loader, &edge->prefetch_path), "prefetch: %s: %s",
                     edge->prefetch_path, why.data ? why.data : "it cannot be read");
    struct span rest = text_span(&content);
    size_t lines = 1;
    for (size_t i = 0; i < rest.length; i++)
        lines += rest.data[i] == '\n';
    edge->prefetch.items = ARENA_ARRAY(&loader->conf->arena, const char *, lines);
    for (unsigned number = 1; rest.length; number++) {
        size_t end = span_find(rest, '\n');
        read_line(loader, edge, span_of(rest.data, end), number);
        rest = span_from(rest, end < rest.length ? end + 1 : end);
    }
    text_clear(&content);
    text_clear(&why);
}

void check_prefetch(struct loader *loader)
{
    const struct conf *conf = loader->conf;
    for (size_t i = 0; i < conf->site_count; i++) {
        const struct conf_texts *list = &conf->sites[i].cache.prefetch;
        for (size_t k = 0; k < list->count; k++)
            if (!is_url(span_text(list->items[k]), true))
                report_error(&loader->report, place_of(loader, &list->items[k]),
                             "prefetch: '%s' is neither a path like /index.html nor a URL like "
                             "https://www.shop.example/index.html",
                             list->items[k]);
    }
}
