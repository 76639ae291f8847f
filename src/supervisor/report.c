/* SPDX-License-Identifier: Apache-2.0
 *
 * What all children say, as one: their roles' status under "roles", the sums of their metrics,
 * their answers to a command.
 */
#include "supervisor/admin.h"

#include "base/memory.h"

static const char *const questions[] = {[REPORT_STATUS] = "status",
                                        [REPORT_READY] = "ready",
                                        [REPORT_METRICS] = "metrics",
                                        [REPORT_COMMAND] = "command",
                                        [REPORT_INQUIRY] = "inquiry"};

static void report_free(struct report *report)
{
    json_decref(report->status);
    json_decref(report->roles);
    json_decref(report->answers);
    json_decref(report->missing);
    metrics_sum_free(&report->metrics);
    memory_free(report);
}

static void add_status(struct report *report, const char *child, json_t *part)
{
    if (strcmp(child, "supervisor") == 0) {
        json_object_update(report->status, part);
        return;
    }
    const char *role;
    json_t *status;
    json_object_foreach(part, role, status) json_object_set(report->roles, role, status);
}

static void on_part(struct child_question *question, const char *child, struct span content)
{
    struct report *report = CONTAINER_OF(question, struct report, question);
    if (report->kind == REPORT_METRICS) {
        int result = metrics_sum_add(report->metrics, content);
        if (result)
            log_warning("admin", "the metrics of %s are malformed: %s", child, error_text(result));
        return;
    }
    json_t *part = json_loadb((const char *)content.data, content.length, 0, NULL);
    bool is_list = report->kind == REPORT_COMMAND || report->kind == REPORT_INQUIRY;
    if (is_list && json_is_array(part))
        json_array_extend(report->answers, part);
    else if (!is_list && json_is_object(part))
        add_status(report, child, part);
    json_decref(part);
}

static void on_end(struct child_question *question, const json_t *missing)
{
    struct report *report = CONTAINER_OF(question, struct report, question);
    json_array_extend(report->missing, (json_t *)missing);
    json_object_set(report->status, "roles", report->roles);
    json_object_set(report->status, "missing", report->missing);
    report->done(report->owner, report);
    report_free(report);
}

struct report *report_new(struct child *child, enum report_kind kind, json_t *argument,
                          void (*done)(void *owner, struct report *report), void *owner)
{
    struct report *report = NEW(struct report);
    *report = (struct report){.question = {.on_part = on_part, .on_end = on_end},
                              .kind = kind,
                              .status = json_object(),
                              .roles = json_object(),
                              .answers = json_array(),
                              .missing = json_array(),
                              .metrics = metrics_sum_new(),
                              .done = done,
                              .owner = owner};
    if (child_ask(child, &report->question, questions[kind], argument)) {
        report_free(report);
        return NULL;
    }
    return report;
}

void report_forget(struct report **pointer)
{
    struct report *report = *pointer;
    *pointer = NULL;
    if (!report)
        return;
    child_forget(&report->question);
    report_free(report);
}

static void on_look(void *owner, struct report *report)
{
    *report->look = NULL;
    report->seen(owner, report->status);
}

int child_look(struct child *child, struct report **look,
               void (*done)(void *owner, const json_t *status), void *owner)
{
    *look = report_new(child, REPORT_STATUS, NULL, on_look, owner);
    if (!*look)
        return ERROR_LIMIT;
    (*look)->look = look;
    (*look)->seen = done;
    return 0;
}

void child_look_forget(struct report **look)
{
    report_forget(look);
}
