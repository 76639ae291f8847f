/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/failure.
 */
#ifndef FAILURE_PRIVATE_H
#define FAILURE_PRIVATE_H

#include "failure/failure.h"

struct server {
    uint64_t identity;
    bool is_available; /* as far as others know */
    bool is_ejected;
    bool is_suspect; /* it returned and has answered nothing yet: one failure is enough */
    enum failure_cause cause;
    uint32_t ejections;
    uint64_t until_ns;
    uint32_t in_a_row;
    uint32_t answers, failures; /* of this interval; failures are among the answers */
    uint64_t time_ns;           /* sum of the times of those answered well */
};

struct circuit {
    enum failure_circuit state;
    uint32_t epoch;             /* counts changes of state */
    uint32_t answers, failures; /* of this interval */
    uint64_t interval_end_ns;
    uint64_t until_ns; /* OPEN */
    uint32_t times;    /* opened without having closed in between */
    uint32_t good;     /* HALF_OPEN: probes that succeeded */
    bool is_probing;   /* HALF_OPEN: one is under way */
};

struct failure {
    struct failure_settings settings;
    struct server *servers;
    size_t count;
    uint32_t ejected;
    uint64_t interval_end_ns; /* 0: nothing has happened yet */
    uint64_t wake_ns;
    uint32_t active, retries, hedges;
    uint64_t reserve_percent; /* hundredths of retries */
    struct circuit circuits[FAILURE_TYPES_MOST];
    struct failure_report counts; /* those that only grow */
};

/* Whether it is the server that failed. */
bool outcome_is_failure(const struct failure_settings *settings, enum failure_outcome outcome);

#endif
