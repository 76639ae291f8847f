/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted of content encodings (C3): answers by how they went out, or why they were left alone; bytes and time.
 */
#include "edge/encode/encoded.h"

#define LEFT_HELP  "Answers of sites that encode which went out as they were, by why."
#define DONE_HELP  "Answers that went out encoded: on the fly, from the store, from a file."
#define PLAIN_HELP "Bytes of content that were encoded on the fly."
#define CODED_HELP "Bytes that they became."
#define TIME_HELP  "Nanoseconds spent on it."

#define EACH_ENCODING(kind, name, more, help)                  \
    {                                                          \
        METRIC(kind, name, "encoding=\"gzip\"" more, help),    \
            METRIC(kind, name, "encoding=\"br\"" more, help),  \
            METRIC(kind, name, "encoding=\"zstd\"" more, help) \
    }

static struct metric left_metrics[EDGE_ENCODE_LEFT_COUNT] = {
#define X(name, text) \
    [ENCODE_##name] = \
        METRIC(COUNTER, "causeway_edge_encode_left_total", "reason=\"" #name "\"", LEFT_HELP),
    ENCODE_REASON_LIST(X)
#undef X
        [EDGE_ENCODE_LEFT_CLIENT] =
            METRIC(COUNTER, "causeway_edge_encode_left_total", "reason=\"CLIENT\"", LEFT_HELP),
    [EDGE_ENCODE_LEFT_RANGE] =
        METRIC(COUNTER, "causeway_edge_encode_left_total", "reason=\"RANGE\"", LEFT_HELP),
    [EDGE_ENCODE_LEFT_LIMIT] =
        METRIC(COUNTER, "causeway_edge_encode_left_total", "reason=\"LIMIT\"", LEFT_HELP),
};
static struct metric done_metrics[EDGE_ENCODE_KINDS][ENCODING_COUNT - 1] = {
    EACH_ENCODING(COUNTER, "causeway_edge_encode_answers_total", ",from=\"fly\"", DONE_HELP),
    EACH_ENCODING(COUNTER, "causeway_edge_encode_answers_total", ",from=\"store\"", DONE_HELP),
    EACH_ENCODING(COUNTER, "causeway_edge_encode_answers_total", ",from=\"file\"", DONE_HELP)};
static struct metric plain_metrics[ENCODING_COUNT - 1] =
    EACH_ENCODING(COUNTER, "causeway_edge_encode_plain_bytes_total", "", PLAIN_HELP);
static struct metric coded_metrics[ENCODING_COUNT - 1] =
    EACH_ENCODING(COUNTER, "causeway_edge_encode_coded_bytes_total", "", CODED_HELP);
static struct metric time_metrics[ENCODING_COUNT - 1] =
    EACH_ENCODING(COUNTER, "causeway_edge_encode_ns_total", "", TIME_HELP);
static struct metric running =
    METRIC(GAUGE, "causeway_edge_encoders_running", "", "Answers being encoded on the fly.");
struct metric edge_encode_kept =
    METRIC(COUNTER, "causeway_edge_encode_jobs_total", "result=\"kept\"",
           "Stored answers that were encoded for all, by what became of it.");
struct metric edge_encode_useless =
    METRIC(COUNTER, "causeway_edge_encode_jobs_total", "result=\"useless\"",
           "Stored answers that were encoded for all, by what became of it.");
struct metric edge_encode_put_off =
    METRIC(COUNTER, "causeway_edge_encode_jobs_total", "result=\"put_off\"",
           "Stored answers that were encoded for all, by what became of it.");

static const char *const left_names[EDGE_ENCODE_LEFT_COUNT] = {
#define X(name, text) [ENCODE_##name] = #name,
    ENCODE_REASON_LIST(X)
#undef X
        [EDGE_ENCODE_LEFT_CLIENT] = "CLIENT",
    [EDGE_ENCODE_LEFT_RANGE] = "RANGE",
    [EDGE_ENCODE_LEFT_LIMIT] = "LIMIT",
};

static json_t *number(const struct metric *metric)
{
    return json_integer((json_int_t)metric_read(metric));
}

void edge_encode_register_metrics(void)
{
    for (size_t i = 1; i < EDGE_ENCODE_LEFT_COUNT; i++)
        metric_register(&left_metrics[i]);
    for (size_t i = 0; i < ENCODING_COUNT - 1; i++) {
        for (size_t kind = 0; kind < EDGE_ENCODE_KINDS; kind++)
            metric_register(&done_metrics[kind][i]);
        metric_register(&plain_metrics[i]);
        metric_register(&coded_metrics[i]);
        metric_register(&time_metrics[i]);
    }
    metric_register(&running);
    metric_register(&edge_encode_kept);
    metric_register(&edge_encode_useless);
    metric_register(&edge_encode_put_off);
}

json_t *edge_encode_status(void)
{
    static const char *const kinds[EDGE_ENCODE_KINDS] = {"fly", "stored", "files"};
    json_t *status = json_object();
    json_t *left = json_object();
    for (enum encoding i = ENCODING_IDENTITY + 1; i < ENCODING_COUNT; i++) {
        json_t *one = json_object();
        for (size_t kind = 0; kind < EDGE_ENCODE_KINDS; kind++)
            json_object_set_new(one, kinds[kind], number(&done_metrics[kind][i - 1]));
        json_object_set_new(one, "plain_bytes", number(&plain_metrics[i - 1]));
        json_object_set_new(one, "coded_bytes", number(&coded_metrics[i - 1]));
        json_object_set_new(one, "ns", number(&time_metrics[i - 1]));
        json_object_set_new(status, (const char *)encoding_name(i).data, one);
    }
    for (size_t i = 1; i < EDGE_ENCODE_LEFT_COUNT; i++)
        json_object_set_new(left, left_names[i], number(&left_metrics[i]));
    json_object_set_new(status, "left", left);
    json_object_set_new(status, "running", number(&running));
    json_object_set_new(status, "kept", number(&edge_encode_kept));
    json_object_set_new(status, "useless", number(&edge_encode_useless));
    json_object_set_new(status, "put_off", number(&edge_encode_put_off));
    return status;
}

void edge_encode_count(enum encoding encoding, enum edge_encode_kind kind)
{
    metric_add(&done_metrics[kind][encoding - 1], 1);
}

void edge_encode_count_left(unsigned reason)
{
    metric_add(&left_metrics[reason], 1);
}

void edge_encode_count_running(int change)
{
    metric_add(&running, (uint64_t)(int64_t)change);
}

void edge_encode_count_work(enum encoding encoding, uint64_t plain, uint64_t coded, uint64_t ns)
{
    metric_add(&plain_metrics[encoding - 1], plain);
    metric_add(&coded_metrics[encoding - 1], coded);
    metric_add(&time_metrics[encoding - 1], ns);
}
