/* SPDX-License-Identifier: Apache-2.0
 *
 * What the owner of a farm knows of its servers beyond the queue (src/failure, src/types): which of them are ejected, whether a ticket is within the
 * budgets of retries and hedges, whether its type's circuit is closed, and what requests cost. A part of its owner, on its worker.
 */
#ifndef GATEWAY_JUDGE_H
#define GATEWAY_JUDGE_H

#include "failure/failure.h"
#include "gateway/private.h"
#include "queue/queue.h"
#include "types/types.h"

struct gateway_judge;

/* Of a farm: what its first site says. */
struct gateway_judge_settings {
    struct failure_settings failure;
    uint64_t types[TYPES_MOST]; /* hashes of their names; 0: there is no such type */
};
void gateway_judge_settings_read(struct gateway_judge_settings *settings,
                                 const struct conf_site *site);

struct gateway_judge *gateway_judge_new(void);
void gateway_judge_free(struct gateway_judge **freed);
void gateway_judge_configure(struct gateway_judge *judge, const char *site,
                             const struct gateway_judge_settings *settings);
/* Servers by their numbers in the queue; identity 0: there is none of that number. */
struct gateway_judge_server {
    uint64_t identity;
    struct address address;
};
void gateway_judge_set_servers(struct gateway_judge *judge,
                               const struct gateway_judge_server servers[QUEUE_SERVERS_MOST]);
/* Whether it may be used as far as others know. */
void gateway_judge_set_available(struct gateway_judge *judge, uint16_t server, bool is_available);
/* For queue_new(). */
const struct queue_costs *gateway_judge_costs(struct gateway_judge *judge);

bool gateway_judge_ejects(const struct gateway_judge *judge, uint16_t server);
/* Time has come for some to return: true where one did. */
bool gateway_judge_tick(struct gateway_judge *judge, uint64_t now_ns);
uint64_t gateway_judge_wake_ns(const struct gateway_judge *judge);

/* ---- tickets */

enum gateway_try {
    GATEWAY_TRY_FIRST,
    GATEWAY_TRY_RETRY, /* of one that was sent */
    GATEWAY_TRY_HEDGE, /* beside one that is under way */
};

/* In the ticket; zeroed: it is not counted. */
struct gateway_judged {
    bool is_counted;
    enum gateway_try as;
    struct failure_pass pass;
};

/* 0: it is counted until gateway_judge_settle(). ERROR_DENIED: the budget is used up; ERROR_LIMIT: the circuit is open, for *retry_ns. */
MUST_USE int gateway_judge_admit(struct gateway_judge *judge, struct gateway_judged *judged,
                                 enum gateway_try as, uint8_t type, uint64_t now_ns,
                                 uint64_t *retry_ns);

struct gateway_verdict {
    enum failure_outcome outcome;
    uint64_t service_ns, bytes;
};
/* Its slot comes back, or it leaves without having had one (`server` QUEUE_NO_SERVER). True: it is others that are ejected now. */
bool gateway_judge_settle(struct gateway_judge *judge, struct gateway_judged *judged,
                          uint16_t server, const struct gateway_verdict *verdict, uint64_t now_ns);
/* How long a request of the type waits for its answer before another server is asked too; 0: not at all. */
uint64_t gateway_judge_hedge_ns(struct gateway_judge *judge, uint8_t type, uint64_t now_ns);

/* ---- what is told */
void gateway_judge_report_server(const struct gateway_judge *judge, uint16_t server,
                                 struct failure_server_report *report);
void gateway_judge_metrics_register(void);

#endif
