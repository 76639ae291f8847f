/* SPDX-License-Identifier: Apache-2.0
 *
 * key=value settings. One row for each key says how its text becomes a number and where it goes; help comes
 * from the same rows.
 */
#include "wan.h"

#include <errno.h>
#include <stdlib.h>

enum kind {
    KIND_RATE,    /* bits/s with k, M, G */
    KIND_BYTES,   /* plain number */
    KIND_TIME,    /* us, ms (also without a unit) or s, kept as ns */
    KIND_PERCENT, /* kept as a share of 1 */
    KIND_FLAG,    /* 0 or 1 */
    KIND_QUEUE,   /* a time, or bytes with b */
    KIND_RTT,     /* a time, halved into the delay */
    KIND_BURST,   /* L,N: L % lost in bursts of N packets on average */
    KIND_GILBERT, /* P,R,H,K in %: good->bad, bad->good, loss in bad, loss in good */
};

struct row {
    const char *key;
    enum kind kind;
    size_t offset; /* in struct impairment */
    const char *help;
};

#define ROW(key, kind, member, help)                         \
    {                                                        \
        key, kind, offsetof(struct impairment, member), help \
    }

static const struct row rows[] = {
    ROW("rate", KIND_RATE, rate_bps, "100M: bottleneck in bits/s of IP packets (k, M, G); 0: none"),
    ROW("overhead", KIND_BYTES, overhead_bytes,
        "38: bytes that each packet costs on the bottleneck"),
    ROW("queue", KIND_QUEUE, queue_ns, "50ms or 64000b: drop-tail limit before the bottleneck"),
    ROW("delay", KIND_TIME, delay_ns, "10ms: one-way propagation (us, ms, s; ms without a unit)"),
    ROW("rtt", KIND_RTT, delay_ns, "20ms: half of it as the delay"),
    ROW("jitter", KIND_TIME, jitter_ns, "2ms: delay +- this, changing smoothly, order kept"),
    ROW("jitter-period", KIND_TIME, jitter_period_ns, "20ms: how fast the jitter changes"),
    ROW("jitter-reorders", KIND_FLAG, jitter_reorders, "1: a new draw for each packet instead"),
    ROW("loss", KIND_PERCENT, loss, "1: percent, independent"),
    ROW("burst", KIND_BURST, burst_enter, "2,8: 2 % lost in bursts of 8 packets on average"),
    ROW("gilbert", KIND_GILBERT, burst_enter, "P,R,H,K: Gilbert-Elliott in percent"),
    ROW("corrupt", KIND_PERCENT, corrupt, "0.1: percent of packets with one bit flipped"),
    ROW("reorder", KIND_PERCENT, reorder, "1: percent of packets held back by reorder-delay"),
    ROW("reorder-delay", KIND_TIME, reorder_ns, "5ms"),
    ROW("duplicate", KIND_PERCENT, duplicate, "0.1: percent of packets sent twice"),
};

enum { ROWS = sizeof rows / sizeof rows[0] };

enum option_kind {
    OPTION_TEXT,
    OPTION_NETWORK,
    OPTION_ADDRESS,
    OPTION_NUMBER,
    OPTION_TIME,
    OPTION_FLAG
};

struct option_row {
    const char *key;
    enum option_kind kind;
    size_t offset, size; /* in struct options */
    const char *help;
};

#define OPTION(key, kind, member, help)                                                          \
    {                                                                                            \
        key, kind, offsetof(struct options, member), sizeof(((struct options *)0)->member), help \
    }

static const struct option_row option_rows[] = {
    OPTION("name", OPTION_TEXT, name, "w0: the devices become w0a and w0b"),
    OPTION("a", OPTION_TEXT, namespaces[A_TO_B], "east: namespace of end A, made if absent"),
    OPTION("b", OPTION_TEXT, namespaces[B_TO_A], "west: namespace of end B"),
    OPTION("ipv4", OPTION_NETWORK, ipv4, "10.77.0.0/24: A gets .1, B gets .2"),
    OPTION("ipv6", OPTION_NETWORK, ipv6, "fd77::/64: A gets ::1, B gets ::2"),
    OPTION("mtu", OPTION_NUMBER, mtu, "1500"),
    OPTION("listen", OPTION_ADDRESS, listen, "127.0.0.1:7000: relay mode, where clients send to"),
    OPTION("to", OPTION_ADDRESS, to, "127.0.0.1:7001: relay mode, the server"),
    OPTION("seed", OPTION_NUMBER, seed, "1: start of the random draws"),
    OPTION("control", OPTION_TEXT, control, "PATH of the control socket"),
    OPTION("counters", OPTION_TEXT, counters, "PATH of the JSON counters written at the end"),
    OPTION("realtime", OPTION_FLAG, realtime, "1: SCHED_FIFO, where allowed"),
    OPTION("slack", OPTION_TIME, slack_ns, "10us: a packet may leave early by this"),
    OPTION("quantum", OPTION_TIME, quantum_ns, "50us: pause between looks at high packet rates"),
    OPTION("with-parent", OPTION_FLAG, with_parent, "1: end when the parent process ends"),
};

enum { OPTION_ROWS = sizeof option_rows / sizeof option_rows[0] };

/* Named sets, to be refined by later keys. */
static const struct {
    const char *name, *settings;
} profiles[] = {
    {"clean", "rate=100M rtt=20ms queue=20ms"},
    {"loss0.1", "rate=100M rtt=100ms queue=50ms loss=0.1"},
    {"loss1", "rate=100M rtt=100ms queue=50ms loss=1"},
    {"loss5", "rate=100M rtt=100ms queue=50ms loss=5"},
    {"burst2", "rate=20M rtt=200ms queue=100ms burst=2,8"},
    {"bloat", "rate=10M rtt=50ms queue=200ms"},
    {"mobile", "rate=30M rtt=60ms queue=150ms jitter=10ms loss=0.5 reorder=0.5"},
    {"transpacific", "rate=200M rtt=180ms queue=50ms loss=0.3"},
};

enum { PROFILES = sizeof profiles / sizeof profiles[0] };

/* A number not below zero; `*rest` is what follows it. */
static int parse_number(const char *text, double *number, const char **rest)
{
    char *end;
    errno = 0;
    *number = strtod(text, &end);
    if (end == text || errno || !(*number >= 0 && *number < 1e15))
        return ERROR_INVALID;
    *rest = end;
    return 0;
}

static int parse_unit(const char *rest, const char *const *units, const double *factors,
                      double *factor)
{
    for (size_t i = 0; units[i]; i++) {
        if (strcmp(rest, units[i]) == 0) {
            *factor = factors[i];
            return 0;
        }
    }
    return ERROR_INVALID;
}

static int parse_time(const char *text, uint64_t *ns)
{
    static const char *const units[] = {"", "us", "ms", "s", NULL};
    static const double factors[] = {1e6, 1e3, 1e6, 1e9};
    double number, factor;
    const char *rest;
    if (parse_number(text, &number, &rest) || parse_unit(rest, units, factors, &factor) ||
        number * factor > 1e12)
        return ERROR_INVALID;
    *ns = (uint64_t)(number * factor);
    return 0;
}

static int parse_scaled(const char *text, uint64_t *value)
{
    static const char *const units[] = {"", "k", "M", "G", NULL};
    static const double factors[] = {1, 1e3, 1e6, 1e9};
    double number, factor;
    const char *rest;
    if (parse_number(text, &number, &rest) || parse_unit(rest, units, factors, &factor))
        return ERROR_INVALID;
    *value = (uint64_t)(number * factor);
    return 0;
}

/* Up to `limit` percentages with commas between, as shares; returns how many, or 0. */
static size_t parse_shares(const char *text, double *shares, size_t limit)
{
    size_t count = 0;
    for (;;) {
        const char *rest;
        if (count == limit || parse_number(text, &shares[count], &rest))
            return 0;
        shares[count++] /= 100;
        if (!*rest)
            return count;
        if (*rest != ',')
            return 0;
        text = rest + 1;
    }
}

static int parse_percent(const char *text, double *share)
{
    double shares[1];
    if (parse_shares(text, shares, 1) != 1 || shares[0] > 1)
        return ERROR_INVALID;
    *share = shares[0];
    return 0;
}

static int parse_flag(const char *text, bool *flag)
{
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return ERROR_INVALID;
    *flag = *text == '1';
    return 0;
}

static int parse_queue(const char *text, struct impairment *set)
{
    double number;
    const char *rest;
    uint64_t time_ns;
    if (parse_number(text, &number, &rest) == 0 && strcmp(rest, "b") == 0) {
        set->queue_bytes = (uint64_t)number;
        set->queue_ns = 0;
        return 0;
    }
    if (parse_time(text, &time_ns))
        return ERROR_INVALID;
    set->queue_ns = time_ns;
    set->queue_bytes = 0;
    return 0;
}

static int parse_burst(const char *text, struct impairment *set)
{
    double shares[2];
    if (parse_shares(text, shares, 2) != 2)
        return ERROR_INVALID;
    double loss = shares[0], mean_length = shares[1] * 100;
    if (loss >= 1 || mean_length < 1)
        return ERROR_INVALID;
    set->burst_leave = 1 / mean_length;
    set->burst_enter = set->burst_leave * loss / (1 - loss);
    set->burst_bad = 1;
    set->burst_good = 0;
    return 0;
}

static int parse_gilbert(const char *text, struct impairment *set)
{
    double shares[4] = {0, 1, 1, 0};
    if (!parse_shares(text, shares, 4))
        return ERROR_INVALID;
    for (size_t i = 0; i < 4; i++)
        if (shares[i] > 1)
            return ERROR_INVALID;
    set->burst_enter = shares[0];
    set->burst_leave = shares[1];
    set->burst_bad = shares[2];
    set->burst_good = shares[3];
    return 0;
}

static int apply_row(const struct row *row, struct impairment *set, const char *value)
{
    void *member = (char *)set + row->offset;
    switch (row->kind) {
    case KIND_RATE:
    case KIND_BYTES:
        return parse_scaled(value, member);
    case KIND_TIME:
        return parse_time(value, member);
    case KIND_PERCENT:
        return parse_percent(value, member);
    case KIND_FLAG:
        return parse_flag(value, member);
    case KIND_QUEUE:
        return parse_queue(value, set);
    case KIND_RTT:
        if (parse_time(value, &set->delay_ns))
            return ERROR_INVALID;
        set->delay_ns /= 2;
        return 0;
    case KIND_BURST:
        return parse_burst(value, set);
    case KIND_GILBERT:
        return parse_gilbert(value, set);
    }
    return ERROR_INVALID;
}

static int apply_option(const struct option_row *row, struct options *options, const char *value)
{
    void *member = (char *)options + row->offset;
    switch (row->kind) {
    case OPTION_TEXT:
        if (strlen(value) >= row->size)
            return ERROR_LIMIT;
        strcpy(member, value);
        return 0;
    case OPTION_NETWORK:
        return network_parse(span_text(value), member);
    case OPTION_ADDRESS:
        return address_parse_port(span_text(value), false, member);
    case OPTION_NUMBER:
        return parse_scaled(value, member);
    case OPTION_TIME:
        return parse_time(value, member);
    case OPTION_FLAG:
        return parse_flag(value, member);
    }
    return ERROR_INVALID;
}

static int apply_profile(struct wan *wan, const char *name, struct text *why)
{
    for (size_t i = 0; i < PROFILES; i++) {
        if (strcmp(profiles[i].name, name) != 0)
            continue;
        char copy[256], *save = NULL;
        strcpy(copy, profiles[i].settings);
        for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
            if (setting_apply(wan, word, false, why))
                return ERROR_INVALID;
        return 0;
    }
    text_add_format(why, "no profile %s; there are", name);
    for (size_t i = 0; i < PROFILES; i++)
        text_add_format(why, " %s", profiles[i].name);
    return ERROR_NOT_FOUND;
}

static int unknown_key(const char *key, bool at_start, struct text *why)
{
    const char *known[ROWS + OPTION_ROWS];
    size_t count = 0;
    for (size_t i = 0; i < ROWS; i++)
        known[count++] = rows[i].key;
    for (size_t i = 0; i < OPTION_ROWS && at_start; i++)
        known[count++] = option_rows[i].key;
    const char *near = nearest_word(key, known, count);
    text_add_format(why, "no setting %s", key);
    if (near)
        text_add_format(why, "; did you mean %s?", near);
    return ERROR_NOT_FOUND;
}

static int apply_key(struct wan *wan, unsigned first, unsigned last, const char *key,
                     const char *value, bool at_start, struct text *why)
{
    int error = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].key, key) != 0)
            continue;
        for (unsigned direction = first; direction <= last && !error; direction++)
            error = apply_row(&rows[i], &wan->paths[direction].set, value);
        if (error)
            text_add_format(why, "bad value %s; %s=%s", value, key, rows[i].help);
        return error;
    }
    for (size_t i = 0; i < OPTION_ROWS && at_start; i++) {
        if (strcmp(option_rows[i].key, key) != 0)
            continue;
        error = apply_option(&option_rows[i], &wan->options, value);
        if (error)
            text_add_format(why, "bad value %s; %s=%s", value, key, option_rows[i].help);
        return error;
    }
    return unknown_key(key, at_start, why);
}

int setting_apply(struct wan *wan, const char *assignment, bool at_start, struct text *why)
{
    const char *equals = strchr(assignment, '=');
    char key[32];
    if (!equals || (size_t)(equals - assignment) >= sizeof key) {
        text_add_format(why, "%s is not key=value", assignment);
        return ERROR_INVALID;
    }
    memcpy(key, assignment, (size_t)(equals - assignment));
    key[equals - assignment] = 0;
    const char *value = equals + 1;

    if (strcmp(key, "profile") == 0)
        return apply_profile(wan, value, why);
    if (strcmp(key, "seed") == 0 && !at_start) {
        if (parse_scaled(value, &wan->options.seed)) {
            text_add_format(why, "bad value %s; seed=1", value);
            return ERROR_INVALID;
        }
        for (unsigned direction = 0; direction < DIRECTIONS; direction++)
            path_seed(&wan->paths[direction], wan->options.seed, direction);
        return 0;
    }
    for (unsigned direction = 0; direction < DIRECTIONS; direction++) {
        size_t length = strlen(direction_names[direction]);
        if (strncmp(key, direction_names[direction], length) == 0 && key[length] == '.')
            return apply_key(wan, direction, direction, key + length + 1, value, false, why);
    }
    return apply_key(wan, A_TO_B, B_TO_A, key, value, at_start, why);
}

void settings_describe(struct text *out)
{
    text_add(out, "Both directions at once, or one with ab. or ba. before the key; changeable "
                  "while running:\n");
    for (size_t i = 0; i < ROWS; i++)
        text_add_format(out, "  %-16s %s\n", rows[i].key, rows[i].help);
    text_add(out, "At the start only (seed also later):\n");
    for (size_t i = 0; i < OPTION_ROWS; i++)
        text_add_format(out, "  %-16s %s\n", option_rows[i].key, option_rows[i].help);
    text_add(out, "profile=NAME sets several at once:\n");
    for (size_t i = 0; i < PROFILES; i++)
        text_add_format(out, "  %-16s %s\n", profiles[i].name, profiles[i].settings);
}
