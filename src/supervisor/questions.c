/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions of an observing child (admin, history) to all children: status, metrics, commands. Answers go to it as they
 * come; a child that is silent or gone is named at the end.
 */
#include "supervisor/private.h"

#include "observe/observe.h"
#include "supervisor/counts.h"

#include <unistd.h>

static const uint64_t limit_ns = 3000000000; /* for all answers */

/* "ready" is for the supervisor alone: what children say of themselves is in their heartbeats. */
static const char *const kinds[] = {"status", "metrics", "command", "inquiry", "ready"};

static void finish(struct question *question)
{
    struct supervisor *supervisor = question->supervisor;
    json_t *missing = json_array();
    for (int i = 0; i < CHILDREN; i++)
        if (question->waiting & supervisor->processes[i].bit)
            json_array_append_new(missing, json_string(supervisor->processes[i].name));
    channel_send(&question->asker->channel,
                 json_pack("{s:s, s:I, s:o}", "type", "end", "id", question->id, "missing",
                           missing),
                 NULL, 0);
    loop_timer_stop(supervisor->loop, &question->limit);
    question->is_used = false;
}

static void on_limit(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    finish(CONTAINER_OF(timer, struct question, limit));
}

static void send_part(const struct question *question, const char *child, int fd)
{
    channel_send(&question->asker->channel,
                 json_pack("{s:s, s:I, s:s}", "type", "part", "id", question->id, "child", child),
                 &fd, 1);
}

static void send_own(const struct question *question, struct span content)
{
    int fd;
    if (bulk_new(content, "own part", &fd))
        return;
    send_part(question, "supervisor", fd);
    close(fd);
}

static void send_own_status(const struct question *question)
{
    json_t *status = supervisor_status(question->supervisor);
    char *text = json_dumps(status, JSON_COMPACT);
    if (text)
        send_own(question, span_text(text));
    free(text);
    json_decref(status);
}

static void send_own_metrics(const struct question *question)
{
    struct text text = {0};
    counts_export(&text);
    send_own(question, text_span(&text));
    text_clear(&text);
}

static bool is_known(const char *what)
{
    for (size_t i = 0; what && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(what, kinds[i]) == 0)
            return true;
    return false;
}

void questions_ask(struct process *asker, const json_t *message)
{
    struct supervisor *supervisor = asker->supervisor;
    const char *what = json_string_value(json_object_get(message, "what"));
    json_t *argument = json_object_get(message, "argument");
    struct question *question = NULL;
    for (int i = 0; i < QUESTIONS_LIMIT && !question; i++)
        if (!supervisor->questions[i].is_used)
            question = &supervisor->questions[i];
    if (!is_known(what) || !question) { /* observers have a limit of their own */
        log_warning("supervisor", "a question of the child %s was refused", asker->name);
        return;
    }
    *question = (struct question){.supervisor = supervisor,
                                  .asker = asker,
                                  .id = json_integer_value(json_object_get(message, "id")),
                                  .number = ++supervisor->next_question,
                                  .is_used = true,
                                  .limit.fire = on_limit};
    bool is_ready = strcmp(what, "ready") == 0;
    if (is_ready || strcmp(what, "status") == 0)
        send_own_status(question);
    if (strcmp(what, "metrics") == 0)
        send_own_metrics(question);
    for (int i = 0; i < CHILDREN && !is_ready; i++) {
        struct process *process = &supervisor->processes[i];
        if (process->state != PROCESS_READY)
            continue;
        json_t *ask = json_pack("{s:s, s:i, s:s, s:O?}", "type", "ask", "id", (int)question->number,
                                "what", what, "argument", argument);
        if (channel_send(&process->channel, ask, NULL, 0))
            question->waiting |= process->bit;
    }
    loop_timer_start(supervisor->loop, &question->limit, clock_now_ns() + limit_ns);
    if (!question->waiting)
        finish(question);
}

void questions_answer(struct process *process, const json_t *message, const int *fds,
                      size_t fd_count)
{
    struct supervisor *supervisor = process->supervisor;
    json_int_t number = json_integer_value(json_object_get(message, "id"));
    for (int i = 0; i < QUESTIONS_LIMIT; i++) {
        struct question *question = &supervisor->questions[i];
        if (!question->is_used || question->number != (uint32_t)number ||
            !(question->waiting & process->bit))
            continue;
        if (fd_count == 1)
            send_part(question, process->name, fds[0]);
        question->waiting &= (uint8_t)~process->bit;
        if (!question->waiting)
            finish(question);
        return;
    }
}

void questions_child_ended(struct process *process)
{
    struct supervisor *supervisor = process->supervisor;
    for (int i = 0; i < QUESTIONS_LIMIT; i++) {
        struct question *question = &supervisor->questions[i];
        if (!question->is_used)
            continue;
        if (process == question->asker) { /* nobody to tell */
            loop_timer_stop(supervisor->loop, &question->limit);
            question->is_used = false;
        } else if (question->waiting == process->bit) {
            finish(question);
        }
    }
}
