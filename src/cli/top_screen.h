/* SPDX-License-Identifier: Apache-2.0
 *
 * One screen of `causeway top`, from two answers of /status and of the gateway's queues, some seconds apart. Without a terminal, and without a clock.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include "base/text.h"

#include <jansson.h>

/* X-macro: the orders of the sites, chosen by their letters. */
#define TOP_ORDER_LIST(X)                       \
    X(REQUESTS, 'r', "requests_per_s", "req/s") \
    X(ERRORS, 'e', "errors", "errors")          \
    X(P99, 't', "p99_ms", "p99")                \
    X(BYTES, 'b', "bytes_out", "bytes")

enum top_order {
#define X(name, letter, key, word) TOP_BY_##name,
    TOP_ORDER_LIST(X)
#undef X
        TOP_ORDERS
};

struct top_view {
    json_t *before; /* NULL: rates are of the last minute, or not shown */
    json_t *now;
    json_t *queues_before, *queues; /* of a gateway, as `causeway queue` shows them; NULL: none */
    double seconds;                 /* between them */
    enum top_order order;
    unsigned rows, columns; /* of the terminal; 0: no limit */
};

/* Lines with their ends; no line is longer than the terminal is wide. */
void top_screen(const struct top_view *view, struct text *text);

#endif
