/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are checked again and again: a timer for each, a bounded number of checks at once, results into struct health.
 */
#include "probe/private.h"

enum { CHECKS_AT_ONCE = 512 };
#define WAIT_FOR_TURN_NS (20ull * 1000000)

static struct metric checks[CHECK_KINDS] = {
#define X(name, text) \
    METRIC(COUNTER, "causeway_health_checks_total", "kind=\"" text "\"", "Health checks."),
    CHECK_KIND_LIST(X)
#undef X
};
static struct metric failures[CHECK_CAUSES] = {
#define X(name, outcome, text)                                              \
    METRIC(COUNTER, "causeway_health_failures_total", "cause=\"" text "\"", \
           "Health checks that failed, or could not be made."),
    CHECK_CAUSE_LIST(X)
#undef X
};
static struct metric changes = METRIC(COUNTER, "causeway_health_changes_total", "",
                                      "Targets that came up or went down, as this node sees them.");
static struct metric postponed = METRIC(COUNTER, "causeway_health_postponed_total", "",
                                        "Health checks that waited: too many were under way.");

void probe_metrics_register(void)
{
    for (size_t i = 0; i < CHECK_KINDS; i++)
        metric_register(&checks[i]);
    for (size_t i = CAUSE_NONE + 1; i < CHECK_CAUSES; i++)
        metric_register(&failures[i]);
    metric_register(&changes);
    metric_register(&postponed);
    ping_metrics_register();
}

void checker_init(struct checker *checker, struct loop *loop, uint64_t seed)
{
    *checker = (struct checker){.loop = loop, .limit = CHECKS_AT_ONCE};
    random_seed(&checker->random, seed);
}

static void plan(struct check_target *target)
{
    loop_timer_start(target->checker->loop, &target->timer, target->health.next_ns);
}

static void on_done(void *owner, const struct check_result *result)
{
    struct check_target *target = owner;
    struct checker *checker = target->checker;
    target->check = NULL;
    target->last = *result;
    checker->running--;
    metric_add(&checks[target->question->kind], 1);
    if (result->cause != CAUSE_NONE)
        metric_add(&failures[result->cause], 1);
    uint32_t rtt_us = target->question->kind == CHECK_TCP ? result->connect_us : result->took_us;
    bool has_changed =
        health_put(&target->health, target->settings, check_cause_outcome(result->cause), rtt_us,
                   target->began_ns, clock_now_ns(), &checker->random);
    if (has_changed)
        metric_add(&changes, 1);
    plan(target);
    target->on_result(target, has_changed);
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct check_target *target = CONTAINER_OF(timer, struct check_target, timer);
    struct checker *checker = target->checker;
    if (checker->running >= checker->limit) {
        metric_add(&postponed, 1);
        loop_timer_start(loop, timer, loop_now_ns(loop) + WAIT_FOR_TURN_NS);
        return;
    }
    checker->running++;
    target->began_ns = clock_now_ns();
    target->check = check_start(loop, target->question, &target->address,
                                health_timeout(&target->health, target->settings), &checker->random,
                                on_done, target);
}

void check_target_start(struct check_target *target, struct checker *checker)
{
    target->checker = checker;
    target->timer.fire = on_timer;
    health_init(&target->health, target->settings, clock_now_ns(), &checker->random);
    plan(target);
}

void check_target_stop(struct check_target *target)
{
    if (!target->checker)
        return;
    if (target->check)
        target->checker->running--;
    check_cancel(&target->check);
    loop_timer_stop(target->checker->loop, &target->timer);
    target->checker = NULL;
}
