/* SPDX-License-Identifier: Apache-2.0
 *
 * Links in plain text.
 */
#include "cli/link_show.h"

#include "base/memory.h"
#include "cli/node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINUTES = 60,  /* of the history shown, one character each */
    FINDINGS = 16, /* of a link */
    LEVELS = 9,    /* of a character */
    LOSS_BAD_PPM = 10000,
    QUEUE_BAD_US = 50000,
    RTT_BAD_FACTOR = 2, /* against the least round trip */
    FRESH_S = 60,
};

static bool is_up(json_t *link)
{
    return strcmp(node_string(link, "state"), "up") == 0;
}

const char *link_show_state(json_t *link)
{
    return is_up(link) && json_is_false(json_object_get(link, "passes"))
               ? "silent"
               : node_string(link, "state");
}

void link_show_plain(struct text *text, const char *value)
{
    for (; *value; value++)
        text_add_format(text, "%c",
                        (uint8_t)*value < 0x20 || (uint8_t)*value >= 0x7f ? '?' : *value);
}

/* ---- figures with units */

static void add_duration(struct text *text, double seconds)
{
    long all = (long)seconds;
    char out[32];
    if (all < 120)
        snprintf(out, sizeof out, "%lds", all);
    else if (all < 7200)
        snprintf(out, sizeof out, "%ldm%02lds", all / 60, all % 60);
    else if (all < 172800)
        snprintf(out, sizeof out, "%ldh%02ldm", all / 3600, all / 60 % 60);
    else
        snprintf(out, sizeof out, "%ldd%02ldh", all / 86400, all / 3600 % 24);
    text_add_format(text, "%8s", out);
}

static double megabits(double bytes_per_s)
{
    return bytes_per_s * 8 / 1e6;
}

static void add_bytes(struct text *text, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 10000 && unit < 4; unit++)
        bytes /= 1000;
    text_add_format(text, "%7.0f %-2s", bytes, units[unit]);
}

/* ---- history */

/* A column of the hour: one value a minute, the newest last. NAN: nothing is known. */
struct hour {
    double values[MINUTES], up[MINUTES];
    double least, most, last;
    bool has_any;
};

static size_t column_of(json_t *history, const char *name)
{
    size_t index;
    json_t *column;
    json_array_foreach(json_object_get(history, "columns"), index, column)
    {
        if (strcmp(json_string_value(column), name) == 0)
            return index;
    }
    return SIZE_MAX;
}

/* Sums of `name` (over those of `per`, when given) or its mean; by `scale`. */
static struct hour read_hour(json_t *link, const char *name, const char *per, bool is_sum,
                             double scale)
{
    json_t *history = json_object_get(link, "history"), *row;
    json_t *rows = json_object_get(json_object_get(history, "tens"), "rows");
    size_t at = column_of(history, name), per_at = per ? column_of(history, per) : SIZE_MAX;
    size_t up_at = column_of(history, "up_s"), index;
    double sums[MINUTES] = {0}, pers[MINUTES] = {0}, up[MINUTES] = {0};
    bool known[MINUTES] = {0};
    struct hour hour = {.least = INFINITY, .last = NAN};
    json_array_foreach(rows, index, row)
    {
        size_t age = (size_t)json_integer_value(json_array_get(row, 0)) / 60;
        if (age >= MINUTES)
            continue;
        size_t minute = MINUTES - 1 - age;
        double up_s = json_number_value(json_array_get(row, up_at));
        double value = json_number_value(json_array_get(row, at));
        known[minute] = true;
        up[minute] += up_s;
        sums[minute] += is_sum ? value : value * up_s;
        pers[minute] += per ? json_number_value(json_array_get(row, per_at)) : is_sum ? 10 : up_s;
    }
    for (int i = 0; i < MINUTES; i++) {
        hour.up[i] = known[i] ? up[i] : NAN;
        hour.values[i] = !known[i] || up[i] == 0 ? NAN
                         : pers[i] > 0           ? sums[i] / pers[i] * scale
                                                 : 0;
        if (isnan(hour.values[i]))
            continue;
        hour.has_any = true;
        hour.last = hour.values[i];
        hour.least = hour.values[i] < hour.least ? hour.values[i] : hour.least;
        hour.most = hour.values[i] > hour.most ? hour.values[i] : hour.most;
    }
    return hour;
}

/* The lowest level is the floor: 0, or the least where what changes is small beside it. */
static void add_line(struct text *text, const struct hour *hour, double floor)
{
    static const char levels[LEVELS + 1] = ".:-=+*%#@";
    double span = hour->most - floor;
    for (int i = 0; i < MINUTES; i++) {
        double value = hour->values[i];
        char out = ' ';
        if (hour->up[i] == 0) /* it was known, and never up */
            out = 'x';
        else if (!isnan(value))
            out = span <= 0 || value <= floor
                      ? '.'
                      : levels[(int)fmin(LEVELS - 1, (value - floor) / span * LEVELS)];
        text_add_format(text, "%c", out);
    }
}

static void add_hour(struct text *text, json_t *link, const char *label, const char *name,
                     const char *per, bool is_sum, double scale, bool from_zero)
{
    struct hour hour = read_hour(link, name, per, is_sum, scale);
    text_add_format(text, "  %-18s", label);
    if (hour.has_any)
        text_add_format(text, "%9.2f %9.2f %9.2f  |", hour.least, hour.most, hour.last);
    else
        text_add_format(text, "%9s %9s %9s  |", "-", "-", "-");
    add_line(text, &hour, from_zero ? 0 : hour.least);
    text_add(text, "|\n");
}

/* ---- what is wrong */

struct findings {
    int worst; /* 0: nothing */
    size_t count;
    char lines[FINDINGS][160];
};

static void find(struct findings *findings, int badness, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void find(struct findings *findings, int badness, const char *format, ...)
{
    if (findings->count == FINDINGS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(findings->lines[findings->count++], sizeof findings->lines[0], format, args);
    va_end(args);
    findings->worst = badness > findings->worst ? badness : findings->worst;
}

static void judge_direction(struct findings *findings, json_t *quality, const char *way)
{
    double loss = node_number(quality, "loss_ppm_10s"), queue = node_number(quality, "queue_us");
    if (loss >= LOSS_BAD_PPM)
        find(findings, 2, "%.1f %% of packets %s are lost", loss / 1e4, way);
    if (queue >= QUEUE_BAD_US)
        find(findings, 1, "packets %s wait %.0f ms in a queue: somebody fills it", way,
             queue / 1e3);
    if (strcmp(node_string(quality, "ecn"), "failed") == 0)
        find(findings, 0, "the network washes off ECN marks %s", way);
}

static struct findings judge(json_t *link)
{
    struct findings findings = {0};
    json_t *out = json_object_get(link, "out");
    double srtt = node_number(out, "srtt_us"), least = node_number(out, "min_rtt_us");
    if (!is_up(link))
        find(&findings, 3, "down: %s", node_string(link, "state"));
    else if (json_is_false(json_object_get(link, "passes")))
        find(&findings, 3, "nothing passes: what is under way waits for it");
    else if (node_number(link, "up_s") < FRESH_S && node_number(link, "sessions") > 1)
        find(&findings, 2, "came back %.0f s ago", node_number(link, "up_s"));
    if (is_up(link) && node_number(link, "heard_quality_ms") > 15000)
        find(&findings, 2, "the peer has not reported for %.0f s",
             node_number(link, "heard_quality_ms") / 1e3);
    judge_direction(&findings, out, "to it");
    judge_direction(&findings, json_object_get(link, "in"), "from it");
    if (is_up(link) && least > 0 && srtt > RTT_BAD_FACTOR * least && srtt - least > 20000)
        find(&findings, 1, "round trips take %.0f ms, at best %.0f", srtt / 1e3, least / 1e3);
    struct hour lost = read_hour(link, "reconnects", NULL, true, 10);
    double reconnects = 0;
    for (int i = 0; i < MINUTES; i++)
        reconnects += isnan(lost.values[i]) ? 0 : lost.values[i] * 6;
    if (reconnects >= 1.5 && node_number(link, "sessions") > 1)
        find(&findings, 1, "connected %.0f times in the last hour", reconnects);
    return findings;
}

/* ---- all links */

struct ranked {
    json_t *link;
    struct findings findings;
};

static int by_badness(const void *a, const void *b)
{
    const struct ranked *one = a, *other = b;
    if (one->findings.worst != other->findings.worst)
        return other->findings.worst - one->findings.worst;
    return strcmp(node_string(one->link, "peer"), node_string(other->link, "peer"));
}

static void add_row(struct text *text, json_t *link)
{
    json_t *out = json_object_get(link, "out"), *in = json_object_get(link, "in");
    char name[64];
    snprintf(name, sizeof name, "%.40s", node_string(link, "peer"));
    text_add_format(text, "%-16s %-7s %-9s", name, node_string(link, "end"), link_show_state(link));
    add_duration(text, node_number(link, "up_s"));
    text_add_format(text, " %8.1f %7.1f %7.2f %7.2f %7.1f %7.1f %9.2f %9.2f %6.0f\n",
                    node_number(out, "srtt_us") / 1e3, node_number(out, "min_rtt_us") / 1e3,
                    node_number(out, "loss_ppm_10s") / 1e4, node_number(in, "loss_ppm_10s") / 1e4,
                    node_number(out, "queue_us") / 1e3, node_number(in, "queue_us") / 1e3,
                    megabits(node_number(out, "delivery_bytes_per_s")),
                    megabits(node_number(in, "delivery_bytes_per_s")),
                    node_number(link, "streams_open"));
}

void link_show_all(json_t *links, struct text *text)
{
    size_t count = json_array_size(links), wrong = 0, index;
    struct ranked *ranked = memory_new((count + 1) * sizeof *ranked);
    json_t *link;
    json_array_foreach(links, index, link) ranked[index] = (struct ranked){link, judge(link)};
    qsort(ranked, count, sizeof *ranked, by_badness);
    for (size_t i = 0; i < count; i++)
        wrong += ranked[i].findings.worst > 0;
    text_add_format(text, "%zu link%s, %zu of them with something wrong\n", count,
                    count == 1 ? "" : "s", wrong);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < ranked[i].findings.count; k++)
            text_add_format(text, "%c %s (%s end): %s\n", ranked[i].findings.worst ? '!' : '-',
                            node_string(ranked[i].link, "peer"), node_string(ranked[i].link, "end"),
                            ranked[i].findings.lines[k]);
    if (count)
        text_add_format(text,
                        "\n%-16s %-7s %-9s %7s %8s %7s %7s %7s %7s %7s %9s %9s %6s\n"
                        "%-16s %-7s %-9s %7s %8s %7s %7s %7s %7s %7s %9s %9s %6s\n",
                        "peer", "our end", "state", "since", "rtt", "least", "loss>", "loss<",
                        "queue>", "queue<", "rate>", "rate<", "conns", "", "", "", "", "ms", "ms",
                        "%", "%", "ms", "ms", "Mbit/s", "Mbit/s", "");
    for (size_t i = 0; i < count; i++)
        add_row(text, ranked[i].link);
    if (count)
        text_add(text, "> to the peer, < from it\n\nlast hour, a minute each, now on the right "
                       "(x: down)\n");
    for (size_t i = 0; i < count; i++) {
        struct hour loss = read_hour(ranked[i].link, "lost_out", "packets_out", true, 100);
        struct hour rate = read_hour(ranked[i].link, "delivered_kib_out", NULL, true, 1);
        text_add_format(text, "%-16s %-7s loss |", node_string(ranked[i].link, "peer"),
                        node_string(ranked[i].link, "end"));
        add_line(text, &loss, 0);
        text_add_format(text, "| to %.2f %%\n%-16s %-7s rate |", loss.most, "", "");
        add_line(text, &rate, 0);
        text_add_format(text, "| to %.2f Mbit/s\n", megabits(rate.most * 1024));
    }
    memory_free(ranked);
}

/* ---- one link */

static void add_quality(struct text *text, json_t *link)
{
    json_t *out = json_object_get(link, "out"), *in = json_object_get(link, "in");
    static const struct {
        const char *label, *name, *unit;
        double scale;
        int digits;
    } rows[] = {
        {"loss over 1 s", "loss_ppm_1s", "%", 1e-4, 3},
        {"loss over 10 s", "loss_ppm_10s", "%", 1e-4, 3},
        {"marked over 10 s", "ce_ppm_10s", "%", 1e-4, 3},
        {"spurious losses", "spurious", "", 1, 0},
        {"round trip", "srtt_us", "ms", 1e-3, 2},
        {"round trip, least", "min_rtt_us", "ms", 1e-3, 2},
        {"round trip, varies", "rtt_variance_us", "ms", 1e-3, 2},
        {"queueing delay", "queue_us", "ms", 1e-3, 2},
        {"delay grows", "delay_trend_us_per_s", "ms/s", 1e-3, 2},
        {"delivered", "delivery_bytes_per_s", "Mbit/s", 8e-6, 2},
        {"spare window", "spare_window_bytes", "kB", 1e-3, 1},
        {"connections counted", "hosted", "", 1, 0},
        {"reconnects", "reconnects", "", 1, 0},
    };
    text_add_format(text, "\nquality %24s %12s\n", "to the peer", "from it");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        text_add_format(text, "  %-20s %10.*f %12.*f  %s\n", rows[i].label, rows[i].digits,
                        node_number(out, rows[i].name) * rows[i].scale, rows[i].digits,
                        node_number(in, rows[i].name) * rows[i].scale, rows[i].unit);
    text_add_format(text, "  %-20s %10s %12s\n", "ECN", node_string(out, "ecn"),
                    node_string(in, "ecn"));
}

static void add_paths(struct text *text, json_t *link)
{
    enum { WAY_BYTES = 80 };
    size_t index;
    json_t *path;
    text_add_format(text, "\n%-5s %-27s %-9s %7s %8s %8s %8s %10s %10s %6s  %s\n", "path",
                    "address", "", "rtt ms", "queue ms", "loss> %", "loss< %", "window",
                    "in flight", "flows", "control");
    json_array_foreach(json_object_get(link, "paths"), index, path)
    {
        json_t *out = json_object_get(path, "out"), *in = json_object_get(path, "in");
        bool is_primary = json_is_true(json_object_get(path, "primary"));
        bool is_tcp = strcmp(node_string(path, "carriage"), "tcp") == 0;
        char way[WAY_BYTES];
        snprintf(way, sizeof way, "%s%s", is_tcp ? "tcp " : "", node_string(path, "peer"));
        text_add_format(text, "%4.0f%c %-27s %-9s %7.1f %8.1f %8.2f %8.2f ",
                        node_number(path, "id"), is_primary ? '*' : ' ', way,
                        node_string(path, "state"), node_number(out, "srtt_us") / 1e3,
                        node_number(out, "queue_us") / 1e3, node_number(out, "loss_ppm_10s") / 1e4,
                        node_number(in, "loss_ppm_10s") / 1e4);
        add_bytes(text, node_number(path, "window_bytes"));
        text_add(text, " ");
        add_bytes(text, node_number(path, "in_flight_bytes"));
        text_add_format(text, " %6.0f  %s\n", node_number(path, "virtual_flows"),
                        node_string(path, "mode"));
    }
}

static void add_rings(struct text *text, json_t *link)
{
    size_t index;
    json_t *ring;
    text_add_format(text, "\nring  %8s %8s %10s %10s\n", "sockets", "ready", "waiting", "sent");
    json_array_foreach(json_object_get(link, "rings"), index, ring)
    {
        text_add_format(text, "%4zu  %8.0f %8.0f ", index, node_number(ring, "sockets"),
                        node_number(ring, "ready"));
        add_bytes(text, node_number(ring, "bytes"));
        text_add(text, " ");
        add_bytes(text, node_number(ring, "sent_bytes"));
        text_add(text, "\n");
    }
}

void link_show_one(json_t *link, struct text *text)
{
    struct findings findings = judge(link);
    text_add(text, "link to ");
    link_show_plain(text, node_string(link, "peer"));
    text_add_format(text, ", our end the %s, %s", node_string(link, "end"),
                    node_string(link, "state"));
    if (is_up(link)) {
        text_add(text, " for");
        add_duration(text, node_number(link, "up_s"));
    }
    text_add_format(text, ", %s %s\n",
                    json_is_true(json_object_get(link, "dials")) ? "dials" : "is dialled by",
                    node_string(link, "address"));
    for (size_t i = 0; i < findings.count; i++)
        text_add_format(text, "%c %s\n", findings.worst ? '!' : '-', findings.lines[i]);
    if (!findings.count)
        text_add(text, "nothing is wrong\n");
    add_quality(text, link);
    add_paths(text, link);
    add_rings(text, link);
    text_add_format(text, "\nlast hour, by minute%9s %9s %9s  (x: down)\n", "least", "most", "now");
    add_hour(text, link, "loss to it, %", "lost_out", "packets_out", true, 100, true);
    add_hour(text, link, "loss from it, %", "loss_ppm_in", NULL, false, 1e-4, true);
    add_hour(text, link, "round trip, ms", "srtt_us", NULL, false, 1e-3, false);
    add_hour(text, link, "queue to it, ms", "queue_us_out", NULL, false, 1e-3, true);
    add_hour(text, link, "queue from it, ms", "queue_us_in", NULL, false, 1e-3, true);
    add_hour(text, link, "to it, Mbit/s", "delivered_kib_out", NULL, true, 8.192e-3, true);
    add_hour(text, link, "from it, Mbit/s", "delivered_kib_in", NULL, true, 8.192e-3, true);
    add_hour(text, link, "streams", "streams", NULL, false, 1, true);
}
