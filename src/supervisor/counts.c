/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of processes and configurations.
 */
#include "supervisor/counts.h"

#include "observe/observe.h"

static struct metric respawns[COUNTS_CHILDREN] = {
    METRIC(COUNTER, "causeway_child_respawns_total", "child=\"front\"",
           "Times that a child process was started again."),
    METRIC(COUNTER, "causeway_child_respawns_total", "child=\"dns\"",
           "Times that a child process was started again."),
    METRIC(COUNTER, "causeway_child_respawns_total", "child=\"history\"",
           "Times that a child process was started again."),
    METRIC(COUNTER, "causeway_child_respawns_total", "child=\"acme\"",
           "Times that a child process was started again."),
    METRIC(COUNTER, "causeway_child_respawns_total", "child=\"admin\"",
           "Times that a child process was started again."),
};
static struct metric ready[COUNTS_CHILDREN] = {
    METRIC(GAUGE, "causeway_child_ready", "child=\"front\"",
           "1 when the child process works, 0 when it is not wanted or not yet up."),
    METRIC(GAUGE, "causeway_child_ready", "child=\"dns\"",
           "1 when the child process works, 0 when it is not wanted or not yet up."),
    METRIC(GAUGE, "causeway_child_ready", "child=\"history\"",
           "1 when the child process works, 0 when it is not wanted or not yet up."),
    METRIC(GAUGE, "causeway_child_ready", "child=\"acme\"",
           "1 when the child process works, 0 when it is not wanted or not yet up."),
    METRIC(GAUGE, "causeway_child_ready", "child=\"admin\"",
           "1 when the child process works, 0 when it is not wanted or not yet up."),
};
static struct metric reloads_good = METRIC(COUNTER, "causeway_configuration_reloads_total",
                                           "result=\"good\"", "Reloads of the configuration.");
static struct metric reloads_refused =
    METRIC(COUNTER, "causeway_configuration_reloads_total", "result=\"refused\"",
           "Reloads of the configuration.");
static struct metric loaded = METRIC(GAUGE, "causeway_configuration_loaded_seconds", "",
                                     "When the present configuration was read, since 1970.");
static struct metric log_lost =
    METRIC(COUNTER, "causeway_log_lines_dropped_total", "",
           "Lines of logs that were lost: a full disk, or a reader that is too slow.");

void counts_start(void)
{
    for (int i = 0; i < COUNTS_CHILDREN; i++) {
        metric_register(&respawns[i]);
        metric_register(&ready[i]);
    }
    metric_register(&reloads_good);
    metric_register(&reloads_refused);
    metric_register(&loaded);
    metrics_thread_start();
}

void counts_respawn(unsigned child)
{
    metric_add(&respawns[child], 1);
}

void counts_ready(unsigned child, bool is_ready)
{
    metric_set(&ready[child], is_ready);
}

void counts_reload(bool is_good)
{
    metric_add(is_good ? &reloads_good : &reloads_refused, 1);
}

void counts_loaded(uint64_t wall_ns)
{
    metric_set(&loaded, wall_ns / 1000000000);
}

void counts_export(struct text *text)
{
    metric_register(&log_lost);
    metric_set(&log_lost, log_dropped());
    metrics_export(text);
}
