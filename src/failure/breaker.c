/* SPDX-License-Identifier: Apache-2.0
 *
 * Circuit breakers: where requests of a type fail at whatever server they go to, further ones are refused at once for a while, which
 * spares them the wait and the servers the load. Then one after another is let through as a probe.
 *
 *   CLOSED --(share of an interval fails)--> OPEN --(time)--> HALF_OPEN --(probes succeed)--> CLOSED
 *                                              ^------(one fails)--'
 *
 * One for each type: that the database is gone does not concern the pages that need none.
 */
#include "failure/private.h"

enum { LONGER_MOST = 4 }; /* doublings of the time that it stays open */

static void set_state(struct circuit *circuit, enum failure_circuit state)
{
    circuit->state = state;
    circuit->epoch++;
    circuit->answers = circuit->failures = circuit->good = 0;
    circuit->is_probing = false;
}

static void open_circuit(struct failure *failure, struct circuit *circuit, uint64_t now_ns)
{
    set_state(circuit, FAILURE_CIRCUIT_OPEN);
    circuit->until_ns = now_ns + (failure->settings.breaker.open_ns << circuit->times);
    if (circuit->times < LONGER_MOST)
        circuit->times++;
    failure->counts.circuits_opened++;
}

static struct failure_pass refuse(struct failure *failure, struct failure_pass pass,
                                  uint64_t wait_ns)
{
    failure->counts.circuit_refused++;
    pass.may = false;
    pass.wait_ns = wait_ns;
    return pass;
}

struct failure_pass failure_circuit_pass(struct failure *failure, uint8_t type, uint64_t now_ns)
{
    struct circuit *circuit = &failure->circuits[type];
    if (!failure->settings.breaker.is_on && circuit->state != FAILURE_CIRCUIT_CLOSED)
        set_state(circuit, FAILURE_CIRCUIT_CLOSED);
    if (circuit->state == FAILURE_CIRCUIT_OPEN && now_ns >= circuit->until_ns)
        set_state(circuit, FAILURE_CIRCUIT_HALF_OPEN);
    struct failure_pass pass = {.may = true, .type = type, .epoch = circuit->epoch};
    switch (circuit->state) {
    case FAILURE_CIRCUIT_CLOSED:
        break;
    case FAILURE_CIRCUIT_OPEN:
        return refuse(failure, pass, circuit->until_ns - now_ns);
    case FAILURE_CIRCUIT_HALF_OPEN:
        if (circuit->is_probing)
            return refuse(failure, pass, failure->settings.breaker.open_ns);
        circuit->is_probing = true;
        break;
    }
    return pass;
}

static void count_result(struct failure *failure, struct circuit *circuit, bool is_failure,
                         uint64_t now_ns)
{
    const struct failure_breaker *settings = &failure->settings.breaker;
    if (now_ns >= circuit->interval_end_ns) {
        circuit->interval_end_ns = now_ns + settings->interval_ns;
        circuit->answers = circuit->failures = 0;
    }
    circuit->answers++;
    circuit->failures += is_failure;
    if (is_failure && circuit->answers >= settings->least_requests &&
        (uint64_t)circuit->failures * 100 >= (uint64_t)circuit->answers * settings->share_percent)
        open_circuit(failure, circuit, now_ns);
}

static void count_probe(struct failure *failure, struct circuit *circuit, bool is_failure,
                        uint64_t now_ns)
{
    circuit->is_probing = false;
    if (is_failure) {
        open_circuit(failure, circuit, now_ns);
    } else if (++circuit->good >= failure->settings.breaker.probes) {
        set_state(circuit, FAILURE_CIRCUIT_CLOSED);
        circuit->times = 0;
    }
}

void failure_circuit_result(struct failure *failure, const struct failure_pass *pass,
                            enum failure_outcome outcome, uint64_t now_ns)
{
    struct circuit *circuit = &failure->circuits[pass->type];
    bool is_failure = outcome_is_failure(&failure->settings, outcome);
    if (!failure->settings.breaker.is_on || !pass->may || pass->epoch != circuit->epoch)
        return;
    if (circuit->state == FAILURE_CIRCUIT_HALF_OPEN && outcome == FAILURE_LEFT)
        circuit->is_probing = false; /* it tells nothing; the next one does */
    else if (circuit->state == FAILURE_CIRCUIT_HALF_OPEN)
        count_probe(failure, circuit, is_failure, now_ns);
    else if (circuit->state == FAILURE_CIRCUIT_CLOSED && outcome != FAILURE_LEFT)
        count_result(failure, circuit, is_failure, now_ns);
}

enum failure_circuit failure_circuit_state(const struct failure *failure, uint8_t type)
{
    return failure->circuits[type].state;
}
