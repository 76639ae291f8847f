/* SPDX-License-Identifier: Apache-2.0
 *
 * The sum of metrics over processes, and its text in the Prometheus exposition format 0.0.4. An
 * export is lines of fields between unit separators: kind, name, labels, help, then "slot:value" of
 * what is not zero.
 */
#include "base/error.h"
#include "base/memory.h"
#include "observe/histogram.h"
#include "observe/metrics.h"

#include <stdio.h>

static const char separator = 0x1f;

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

/* ---- export */

/* Escaped as the exposition format wants it, which also keeps an export's lines whole. */
static void add_help(struct text *text, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\' || *help == '\n')
            text_add(text, *help == '\n' ? "\\n" : "\\\\");
        else
            text_add_span(text, span_of(help, 1));
    }
}

static void export_metric(const struct metric *metric, const uint64_t *values, void *argument)
{
    struct text *text = argument;
    text_add_format(text, "%u%c%s%c%s%c", (unsigned)metric->kind, separator, metric->name,
                    separator, metric->labels, separator);
    add_help(text, metric->help);
    uint32_t slots = metric->kind == METRIC_HISTOGRAM ? HISTOGRAM_SLOTS : 1;
    for (uint32_t i = 0; i < slots; i++)
        if (values[i])
            text_add_format(text, "%c%u:%llu", separator, i, (unsigned long long)values[i]);
    text_add(text, "\n");
}

void metrics_export(struct text *text)
{
    metrics_each(export_metric, text);
}

/* ---- sum */

struct summed {
    enum metric_kind kind;
    char *name, *labels, *help;
    uint64_t *values;
};

struct metrics_sum {
    struct summed *rows; /* in the order in which they came */
    size_t count, capacity;
};

struct metrics_sum *metrics_sum_new(void)
{
    return NEW(struct metrics_sum);
}

void metrics_sum_free(struct metrics_sum **pointer)
{
    struct metrics_sum *sum = *pointer;
    if (!sum)
        return;
    *pointer = NULL;
    for (size_t i = 0; i < sum->count; i++) {
        memory_free(sum->rows[i].name);
        memory_free(sum->rows[i].labels);
        memory_free(sum->rows[i].help);
        memory_free(sum->rows[i].values);
    }
    memory_free(sum->rows);
    memory_free(sum);
}

static struct span take_field(struct span *line)
{
    size_t length = span_find(*line, (uint8_t)separator);
    struct span field = span_of(line->data, length);
    *line = span_from(*line, length + 1);
    return field;
}

static bool is_row(const struct summed *row, struct span name, struct span labels)
{
    return span_equal(span_text(row->name), name) && span_equal(span_text(row->labels), labels);
}

/* All processes run the same program and export in nearly the same order: `hint` is where the
 * search begins. */
static struct summed *find_row(struct metrics_sum *sum, struct span name, struct span labels,
                               size_t *hint)
{
    for (size_t i = 0; i < sum->count; i++) {
        size_t at = (*hint + i) % sum->count;
        if (is_row(&sum->rows[at], name, labels)) {
            *hint = at + 1;
            return &sum->rows[at];
        }
    }
    return NULL;
}

static struct summed *add_row(struct metrics_sum *sum, enum metric_kind kind, struct span name,
                              struct span labels, struct span help)
{
    if (sum->count == METRICS_SUM_LIMIT)
        return NULL;
    if (sum->count == sum->capacity) {
        sum->capacity = sum->capacity ? sum->capacity * 2 : 64;
        sum->rows = memory_resize(sum->rows, sum->capacity, sizeof *sum->rows);
    }
    struct summed *row = &sum->rows[sum->count++];
    *row = (struct summed){.kind = kind,
                           .name = memory_text((const char *)name.data, name.length),
                           .labels = memory_text((const char *)labels.data, labels.length),
                           .help = memory_text((const char *)help.data, help.length),
                           .values = memory_new((kind == METRIC_HISTOGRAM ? HISTOGRAM_SLOTS : 1) *
                                                sizeof(uint64_t))};
    return row;
}

static int add_line(struct metrics_sum *sum, struct span line, size_t *hint)
{
    uint64_t kind, slot, value;
    struct span kind_field = take_field(&line), name = take_field(&line);
    struct span labels = take_field(&line), help = take_field(&line);
    if (span_number(kind_field, &kind) || kind > METRIC_HISTOGRAM || !name.length)
        return ERROR_INVALID;
    struct summed *row = find_row(sum, name, labels, hint);
    if (row && row->kind != kind)
        return ERROR_INVALID;
    if (!row)
        row = add_row(sum, (enum metric_kind)kind, name, labels, help);
    if (!row)
        return ERROR_LIMIT;
    uint64_t slots = kind == METRIC_HISTOGRAM ? HISTOGRAM_SLOTS : 1;
    while (line.length) {
        struct span field = take_field(&line);
        size_t colon = span_find(field, ':');
        if (span_number(span_of(field.data, colon), &slot) || slot >= slots ||
            span_number(span_from(field, colon + 1), &value))
            return ERROR_INVALID;
        row->values[slot] += value;
    }
    return 0;
}

int metrics_sum_add(struct metrics_sum *sum, struct span exported)
{
    size_t hint = 0;
    while (exported.length) {
        size_t length = span_find(exported, '\n');
        int result = add_line(sum, span_of(exported.data, length), &hint);
        if (result)
            return result;
        exported = span_from(exported, length + 1);
    }
    return 0;
}

/* ---- text */

static void add_sample(struct text *text, const struct summed *row, const char *suffix,
                       const char *label, const char *value)
{
    text_add_format(text, "%s%s", row->name, suffix);
    if (*row->labels || *label)
        text_add_format(text, "{%s%s%s}", row->labels, *row->labels && *label ? "," : "", label);
    text_add_format(text, " %s\n", value);
}

/* One `le` for each power of two is enough to read quantiles from, and an eighth of the lines. */
static void add_histogram(struct text *text, const struct summed *row)
{
    uint64_t below = 0;
    char label[64], value[32];
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += row->values[i];
        bool is_last = i == HISTOGRAM_BUCKETS - 1;
        if (i % HISTOGRAM_STEPS != 0 && !is_last)
            continue;
        if (is_last)
            snprintf(label, sizeof label, "le=\"+Inf\"");
        else
            snprintf(label, sizeof label, "le=\"%.9g\"", (double)histogram_lower_ns(i + 1) / 1e9);
        snprintf(value, sizeof value, "%llu", (unsigned long long)below);
        add_sample(text, row, "_bucket", label, value);
    }
    add_sample(text, row, "_count", "", value);
    snprintf(value, sizeof value, "%.9f", (double)row->values[HISTOGRAM_BUCKETS] / 1e9);
    add_sample(text, row, "_sum", "", value);
}

void metrics_sum_write(const struct metrics_sum *sum, struct text *text)
{
    bool *is_written = memory_new(sum->count * sizeof *is_written);
    for (size_t i = 0; i < sum->count; i++) {
        if (is_written[i])
            continue;
        const struct summed *head = &sum->rows[i];
        text_add_format(text, "# HELP %s %s\n# TYPE %s %s\n", head->name, head->help, head->name,
                        kind_names[head->kind]);
        /* all samples of one name stand together, whoever registered them when */
        for (size_t k = i; k < sum->count; k++) {
            const struct summed *row = &sum->rows[k];
            if (is_written[k] || strcmp(row->name, head->name) != 0)
                continue;
            is_written[k] = true;
            if (row->kind == METRIC_HISTOGRAM) {
                add_histogram(text, row);
                continue;
            }
            char value[32];
            bool is_gauge = row->kind == METRIC_GAUGE; /* which may be below zero */
            snprintf(value, sizeof value, is_gauge ? "%lld" : "%llu",
                     (unsigned long long)row->values[0]);
            add_sample(text, row, "", "", value);
        }
    }
    memory_free(is_written);
}

void metrics_write_prometheus(struct text *text)
{
    struct text exported = {0};
    struct metrics_sum *sum = metrics_sum_new();
    metrics_export(&exported);
    if (metrics_sum_add(sum, text_span(&exported)) == 0)
        metrics_sum_write(sum, text);
    metrics_sum_free(&sum);
    text_clear(&exported);
}
