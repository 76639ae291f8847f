/* SPDX-License-Identifier: Apache-2.0
 *
 * What origins do wrong: a few words for the many causes that a parser knows, each with a counter.
 */
#include "gateway/private.h"

static struct metric faults[GATEWAY_FAULTS] = {
#define X(name, word)                                                               \
    [GATEWAY_FAULT_##name] =                                                        \
        METRIC(COUNTER, "causeway_gateway_bad_answers_total", "cause=\"" word "\"", \
               "Answers of origins that were malformed, cut short or not asked for, by cause."),
    GATEWAY_FAULT_LIST(X)
#undef X
};

/* Those that answers can have; the rest is OTHER. */
static const struct {
    enum http_cause cause;
    enum gateway_fault fault;
} rows[] = {
    {HTTP_CAUSE_STATUS_LINE, GATEWAY_FAULT_STATUS_LINE},
    {HTTP_CAUSE_VERSION, GATEWAY_FAULT_STATUS_LINE},
    {HTTP_CAUSE_VERSION_UNSUPPORTED, GATEWAY_FAULT_STATUS_LINE},
    {HTTP_CAUSE_EMPTY_LINES, GATEWAY_FAULT_STATUS_LINE},
    {HTTP_CAUSE_STATUS_UNEXPECTED, GATEWAY_FAULT_STATUS},
    {HTTP_CAUSE_LINE_END, GATEWAY_FAULT_LINE_END},
    {HTTP_CAUSE_FIELD_NAME, GATEWAY_FAULT_FIELD},
    {HTTP_CAUSE_FIELD_SPACE, GATEWAY_FAULT_FIELD},
    {HTTP_CAUSE_FIELD_FOLDED, GATEWAY_FAULT_FIELD},
    {HTTP_CAUSE_FIELD_VALUE, GATEWAY_FAULT_FIELD},
    {HTTP_CAUSE_CONNECTION_INVALID, GATEWAY_FAULT_FIELD},
    {HTTP_CAUSE_FIELD_NAME_LONG, GATEWAY_FAULT_HEAD_LONG},
    {HTTP_CAUSE_HEAD_LONG, GATEWAY_FAULT_HEAD_LONG},
    {HTTP_CAUSE_HEAD_FIELDS, GATEWAY_FAULT_HEAD_LONG},
    {HTTP_CAUSE_BODY_LONG, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_LENGTH_INVALID, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_LENGTH_DUPLICATE, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_LENGTH_AND_CODING, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_CODING_INVALID, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_CODING_UNKNOWN, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_CODING_VERSION, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_CODING_FORBIDDEN, GATEWAY_FAULT_FRAMING},
    {HTTP_CAUSE_CHUNK_SIZE, GATEWAY_FAULT_CHUNK},
    {HTTP_CAUSE_CHUNK_EXTENSION, GATEWAY_FAULT_CHUNK},
    {HTTP_CAUSE_CHUNK_LONG, GATEWAY_FAULT_CHUNK},
    {HTTP_CAUSE_CHUNK_END, GATEWAY_FAULT_CHUNK},
    {HTTP_CAUSE_TRAILER_FORBIDDEN, GATEWAY_FAULT_TRAILER},
    {HTTP_CAUSE_TRAILER_LONG, GATEWAY_FAULT_TRAILER},
    {HTTP_CAUSE_INFORMATIONAL_MANY, GATEWAY_FAULT_INFORMATIONAL},
    {HTTP_CAUSE_TRUNCATED, GATEWAY_FAULT_TRUNCATED},
};

enum gateway_fault gateway_fault_of(enum http_cause cause)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].cause == cause)
            return rows[i].fault;
    return GATEWAY_FAULT_OTHER;
}

struct metric *gateway_fault_metric(enum gateway_fault fault)
{
    return &faults[fault];
}

uint64_t gateway_faults_read(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < GATEWAY_FAULTS; i++)
        sum += metric_read(&faults[i]);
    return sum;
}

void gateway_faults_register(void)
{
    for (size_t i = 0; i < GATEWAY_FAULTS; i++)
        metric_register(&faults[i]);
}
