/* SPDX-License-Identifier: Apache-2.0
 *
 * What there is to see of a node, the most urgent first: is it ready, its visitors, its sites, its links, its gateway's side, its
 * names.
 */
#include "cli/top_screen.h"

#include "base/memory.h"
#include "cli/link_show.h"
#include "cli/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 512, LINKS_LEAST = 4, QUEUES_MOST = 4 };

static const char *const order_keys[TOP_ORDERS] = {
#define X(name, letter, key, word) [TOP_BY_##name] = (key),
    TOP_ORDER_LIST(X)
#undef X
};
static const char *const order_words[TOP_ORDERS] = {
#define X(name, letter, key, word) [TOP_BY_##name] = (word),
    TOP_ORDER_LIST(X)
#undef X
};

/* ---- values */

static json_t *part(json_t *status, const char *role, const char *name)
{
    json_t *found = json_object_get(json_object_get(status, "roles"), role);
    return name ? json_object_get(found, name) : found;
}

/* The item of a list that was like this one before. */
static json_t *same_in(json_t *list, json_t *item, const char *name, const char *second)
{
    size_t index;
    json_t *other;
    json_array_foreach(list, index,
                       other) if (strcmp(node_string(other, name), node_string(item, name)) == 0 &&
                                  (!second || strcmp(node_string(other, second),
                                                     node_string(item, second)) == 0)) return other;
    return NULL;
}

/* How much a counter grew in a second; what is new, and a process that was started again, counts from zero. */
static double rate(const struct top_view *view, json_t *before, json_t *now, const char *name)
{
    double grown = node_number(now, name) - node_number(before, name);
    if (!view->before || view->seconds <= 0)
        return 0;
    return (grown < 0 ? node_number(now, name) : grown) / view->seconds;
}

/* ---- lines */

struct screen {
    struct text *text;
    const struct top_view *view;
    unsigned lines;
};

static bool is_full(const struct screen *screen)
{
    return screen->view->rows && screen->lines >= screen->view->rows;
}

static void add_line(struct screen *screen, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_line(struct screen *screen, const char *format, ...)
{
    char line[LINE_MOST];
    if (is_full(screen))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (screen->view->columns && screen->view->columns < sizeof line)
        line[screen->view->columns] = 0;
    link_show_plain(screen->text, line);
    text_add(screen->text, "\n");
    screen->lines++;
}

/* "1.2k": four characters for any count. */
static const char *count_text(double count, char out[16])
{
    static const char units[] = " kMGTP";
    int unit = 0;
    for (; count >= 999.5 && unit < 5; unit++)
        count /= 1000;
    if (unit)
        snprintf(out, 16, count < 9.95 ? "%.1f%c" : "%.0f%c", count, units[unit]);
    else
        snprintf(out, 16, count < 9.95 && count > 0 ? "%.1f" : "%.0f", count);
    return out;
}

/* ---- parts */

static void add_head(struct screen *screen)
{
    json_t *now = screen->view->now, *reason;
    double up_s = node_number(now, "uptime_s");
    add_line(screen, "node %s, causeway %s, up %.0f d %02.0f:%02.0f, %s", node_string(now, "node"),
             node_string(now, "version"), (double)(long)(up_s / 86400),
             (double)((long)up_s / 3600 % 24), (double)((long)up_s / 60 % 60),
             json_is_true(json_object_get(now, "ready")) ? "ready" : "NOT READY");
    size_t index;
    json_array_foreach(json_object_get(now, "reasons"), index, reason)
        add_line(screen, "  ! %s", json_string_value(reason));
    const char *error =
        json_string_value(json_object_get(json_object_get(now, "configuration"), "last_error"));
    if (error)
        add_line(screen, "  ! the last reload was refused: %.*s", (int)strcspn(error, "\n"), error);
    json_array_foreach(json_object_get(now, "missing"), index, reason)
        add_line(screen, "  ! %s did not answer", json_string_value(reason));
}

static void add_edge(struct screen *screen)
{
    const struct top_view *view = screen->view;
    json_t *now = part(view->now, "front", "edge"), *before = part(view->before, "front", "edge");
    char text[4][16];
    if (!now)
        return;
    add_line(screen, "edge     %5s req/s  %5s open  out %5sbit/s  refused %s/s%s%s",
             count_text(rate(view, before, now, "requests"), text[0]),
             count_text(node_number(now, "connections_open"), text[1]),
             count_text(8 * rate(view, before, now, "bytes_out"), text[2]),
             count_text(rate(view, before, now, "refused"), text[3]),
             strcmp(node_string(now, "admin"), "up") == 0 ? "" : "  admin ",
             strcmp(node_string(now, "admin"), "up") == 0 ? "" : node_string(now, "admin"));
}

static void add_gateway(struct screen *screen)
{
    const struct top_view *view = screen->view;
    json_t *now = part(view->now, "front", "gateway"),
           *before = part(view->before, "front", "gateway");
    char text[4][16];
    if (!now)
        return;
    add_line(screen, "gateway  %5s req/s  %5s open  %s/s new to origins  failed %s/s%s",
             count_text(rate(view, before, now, "requests"), text[0]),
             count_text(node_number(now, "requests_open"), text[1]),
             count_text(rate(view, before, now, "origin_connections"), text[2]),
             count_text(rate(view, before, now, "unreachable") +
                            rate(view, before, now, "timeouts") + rate(view, before, now, "full"),
                        text[3]),
             node_number(now, "origins_down") > 0      ? "  ORIGINS DOWN"
             : node_number(now, "origins_ejected") > 0 ? "  ORIGINS EJECTED"
                                                       : "");
}

static void add_dns(struct screen *screen)
{
    const struct top_view *view = screen->view;
    json_t *now = part(view->now, "dns", NULL), *before = part(view->before, "dns", NULL), *edge;
    if (!now)
        return;
    size_t index, up = 0, all = 0;
    json_array_foreach(json_object_get(now, "edges"), index, edge)
    {
        up += strcmp(node_string(edge, "answers"), "up") == 0;
        all++;
    }
    char text[16];
    add_line(screen, "dns      %5s ans/s  %zu of %zu edges in answers%s",
             count_text(rate(view, before, now, "answers"), text), up, all,
             json_is_true(json_object_get(now, "fail_open")) ? "  FAIL OPEN: hears of no edge"
                                                             : "");
}

/* ---- sites */

static enum top_order sort_order;

static int compare_sites(const void *one, const void *other)
{
    json_t *a = *(json_t *const *)one, *b = *(json_t *const *)other;
    double left = node_number(a, order_keys[sort_order]),
           right = node_number(b, order_keys[sort_order]);
    if (left != right)
        return left < right ? 1 : -1;
    return strcmp(node_string(a, "name"), node_string(b, "name"));
}

static void add_site(struct screen *screen, json_t *site)
{
    const struct top_view *view = screen->view;
    json_t *before =
        same_in(json_object_get(part(view->before, "front", "edge"), "sites"), site, "name", NULL);
    char text[4][16], hits[8] = "-";
    double grown = rate(view, before, site, "requests");
    if (grown > 0)
        snprintf(hits, sizeof hits, "%.1f", 100 * rate(view, before, site, "hits") / grown);
    double per_s =
        view->before ? rate(view, before, site, "requests") : node_number(site, "requests_per_s");
    add_line(screen, "%-24.24s %7s %6s %8s %8.1f %8.1f %7sbit/s", node_string(site, "name"),
             count_text(per_s, text[0]), hits,
             count_text(rate(view, before, site, "errors"), text[1]), node_number(site, "p50_ms"),
             node_number(site, "p99_ms"),
             count_text(8 * rate(view, before, site, "bytes_out"), text[2]));
}

/* As many as leave room for `kept` lines behind them. */
static void add_sites(struct screen *screen, unsigned kept)
{
    const struct top_view *view = screen->view;
    json_t *sites = json_object_get(part(view->now, "front", "edge"), "sites"), *site;
    size_t count = json_array_size(sites), index;
    if (!count)
        return;
    json_t **sorted = memory_new(count * sizeof(json_t *));
    json_array_foreach(sites, index, site) sorted[index] = site;
    sort_order = view->order;
    qsort((void *)sorted, count, sizeof(json_t *), compare_sites);
    add_line(screen, "%s", "");
    char title[32];
    snprintf(title, sizeof title, "site, by %s", order_words[view->order]);
    add_line(screen, "%-24s %7s %6s %8s %8s %8s %12s", title, "req/s", "hit %", "errors/s",
             "p50 ms", "p99 ms", "out");
    size_t i = 0;
    for (; i < count && (!view->rows || screen->lines + kept + 1 < view->rows); i++)
        add_site(screen, sorted[i]);
    if (i < count)
        add_line(screen, "... and %zu more", count - i);
    memory_free((void *)sorted);
}

/* ---- queues before origins */

static int compare_queues(const void *one, const void *other)
{
    json_t *a = *(json_t *const *)one, *b = *(json_t *const *)other;
    double left = node_number(a, "waiting"), right = node_number(b, "waiting");
    if (left == right) {
        left = node_number(a, "pending");
        right = node_number(b, "pending");
    }
    if (left != right)
        return left < right ? 1 : -1;
    return strcmp(node_string(a, "site"), node_string(b, "site"));
}

static double refused(json_t *queue)
{
    double sum = 0;
    const char *reason;
    json_t *count;
    json_object_foreach(json_object_get(queue, "dropped"), reason, count) sum +=
        json_number_value(count);
    return sum;
}

static void add_queue(struct screen *screen, json_t *queue)
{
    const struct top_view *view = screen->view;
    json_t *before = same_in(view->queues_before, queue, "site", NULL);
    double more = before ? refused(queue) - refused(before) : 0;
    char text[4][16];
    add_line(screen, "%-24.24s %7s %7s %7s %7.0f %9.0f %9s", node_string(queue, "site"),
             count_text(node_number(queue, "waiting"), text[0]),
             count_text(node_number(queue, "pending"), text[1]),
             count_text(node_number(queue, "slots"), text[2]),
             node_number(queue, "load_permille") / 10, node_number(queue, "drain_ms"),
             count_text(more > 0 && view->seconds > 0 ? more / view->seconds : 0, text[3]));
}

static size_t queue_lines(const struct top_view *view)
{
    size_t count = json_array_size(view->queues);
    return !count ? 0 : count < QUEUES_MOST ? count + 2 : QUEUES_MOST + 2;
}

static void add_queues(struct screen *screen)
{
    json_t *queues = screen->view->queues, *queue;
    size_t count = json_array_size(queues), index;
    if (!count)
        return;
    json_t **sorted = memory_new(count * sizeof(json_t *));
    json_array_foreach(queues, index, queue) sorted[index] = queue;
    qsort((void *)sorted, count, sizeof(json_t *), compare_queues);
    add_line(screen, "%s", "");
    add_line(screen, "%-24s %7s %7s %7s %7s %9s %9s", "queue of", "waiting", "pending", "slots",
             "load %", "served ms", "refused/s");
    for (size_t i = 0; i < count && i < QUEUES_MOST; i++)
        add_queue(screen, sorted[i]);
    memory_free((void *)sorted);
}

/* ---- links */

static void add_link(struct screen *screen, json_t *link)
{
    const struct top_view *view = screen->view;
    json_t *before = same_in(part(view->before, "front", "links"), link, "peer", "end");
    json_t *out = json_object_get(link, "out"), *in = json_object_get(link, "in");
    char text[2][16];
    add_line(screen, "%-16.16s %-8s %-7s %8.1f %8.1f %7.2f %7.2f %7.0f %7sbit/s %7sbit/s",
             node_string(link, "peer"), node_string(link, "end"), link_show_state(link),
             node_number(link, "srtt_us") / 1e3, node_number(out, "queue_us") / 1e3,
             node_number(out, "loss_ppm_10s") / 1e4, node_number(in, "loss_ppm_10s") / 1e4,
             node_number(link, "streams_open"),
             count_text(8 * rate(view, before, link, "bytes_sent"), text[0]),
             count_text(8 * rate(view, before, link, "bytes_received"), text[1]));
}

static void add_links(struct screen *screen)
{
    json_t *links = part(screen->view->now, "front", "links"), *link;
    size_t index;
    if (!json_array_size(links))
        return;
    add_line(screen, "%s", "");
    add_line(screen, "%-16s %-8s %-7s %8s %8s %7s %7s %7s %12s %12s", "link to", "as", "state",
             "rtt ms", "queue ms", "loss %", "in %", "streams", "out", "in");
    json_array_foreach(links, index, link) add_link(screen, link);
}

void top_screen(const struct top_view *view, struct text *text)
{
    struct screen screen = {.text = text, .view = view};
    size_t links = json_array_size(part(view->now, "front", "links"));
    add_head(&screen);
    add_edge(&screen);
    add_gateway(&screen);
    add_dns(&screen);
    add_sites(&screen,
              (unsigned)((links > LINKS_LEAST ? LINKS_LEAST : links) + 3 + queue_lines(view)));
    add_queues(&screen);
    add_links(&screen);
}
