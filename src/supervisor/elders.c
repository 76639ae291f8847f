/* SPDX-License-Identifier: Apache-2.0
 *
 * Children of the program before: they serve until their successors are ready, are told to end then, and have `node.upgrade_drain`
 * to finish what is under way.
 */
#include "supervisor/private.h"

#include "base/memory.h"
#include "observe/observe.h"

#include <sys/wait.h>
#include <unistd.h>

enum {
    GENERATIONS = 4, /* two bits of a link's receiver index */
    SAME_MOST = 2,   /* elders of a child: the process that runs, and the next one, have others */
    GRACE_S = 2,     /* between the end of draining and SIGKILL */
};
static const uint64_t second = 1000000000;

/* Signs of life, and answers that nobody waits for; an observer that asks is told that nobody is left to answer. */
static void on_message(struct channel *channel, const json_t *message, int *fds, size_t fd_count)
{
    (void)fds;
    (void)fd_count;
    if (strcmp(channel_message_type(message), "question") == 0)
        channel_send(channel,
                     json_pack("{s:s, s:O, s:[s]}", "type", "end", "id",
                               json_object_get(message, "id"), "missing", "supervisor"),
                     NULL, 0);
}

static void on_closed(struct channel *channel)
{
    channel_stop(channel); /* it ends: SIGCHLD tells */
}

static void on_kill(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    struct elder *elder = CONTAINER_OF(timer, struct elder, kill);
    log_warning("supervisor", "%s (pid %d) of the program before does not end: it is killed",
                elder->name, (int)elder->pid);
    kill(elder->pid, SIGKILL);
}

void elders_add(struct supervisor *supervisor, const char *name, pid_t pid, uint8_t generation,
                int fd)
{
    struct elder *elder = NEW(struct elder);
    elder->supervisor = supervisor;
    elder->name = name;
    elder->pid = pid;
    elder->generation = generation;
    elder->kill.fire = on_kill;
    elder->channel.on_message = on_message;
    elder->channel.on_closed = on_closed;
    list_push_back(&supervisor->elders, &elder->link);
    if (fd >= 0) {
        channel_start(&elder->channel, supervisor->loop, fd);
        return;
    }
    elder->is_told =
        true; /* it was ending when the program was executed, and has closed its side */
    loop_timer_start(supervisor->loop, &elder->kill, clock_now_ns() + GRACE_S * second);
}

uint8_t elders_generation(const struct supervisor *supervisor, const char *name, uint8_t before)
{
    bool is_used[GENERATIONS] = {false};
    is_used[before % GENERATIONS] = true;
    LIST_EACH (item, after, &supervisor->elders) {
        const struct elder *elder = CONTAINER_OF(item, struct elder, link);
        if (strcmp(elder->name, name) == 0)
            is_used[elder->generation % GENERATIONS] = true;
    }
    for (uint8_t i = 1; i < GENERATIONS; i++)
        if (!is_used[(before + i) % GENERATIONS])
            return (uint8_t)((before + i) % GENERATIONS);
    return (uint8_t)((before + 1) % GENERATIONS);
}

static void tell(struct elder *elder, uint64_t drain_ns)
{
    if (elder->is_told)
        return;
    elder->is_told = true;
    loop_timer_start(elder->supervisor->loop, &elder->kill,
                     clock_now_ns() + drain_ns + GRACE_S * second);
    json_t *message =
        json_pack("{s:s, s:I}", "type", "stop", "drain_s", (json_int_t)(drain_ns / second));
    if (!channel_send(&elder->channel, message, NULL, 0))
        kill(elder->pid, SIGKILL);
}

void elders_let_go(struct supervisor *supervisor, const char *name)
{
    LIST_EACH (item, after, &supervisor->elders) {
        struct elder *elder = CONTAINER_OF(item, struct elder, link);
        bool is_front = strcmp(name, "front") == 0;
        if (strcmp(elder->name, name) == 0)
            tell(elder,
                 is_front ? supervisor->conf->self->upgrade_drain_ns : ELDER_STOP_S * second);
    }
}

void elders_stop(struct supervisor *supervisor, bool at_once)
{
    LIST_EACH (item, after, &supervisor->elders) {
        struct elder *elder = CONTAINER_OF(item, struct elder, link);
        if (at_once)
            kill(elder->pid, SIGKILL);
        elder->is_told = false; /* sooner than it was told */
        tell(elder, ELDER_STOP_S * second);
    }
}

bool elders_reap(struct supervisor *supervisor, pid_t pid, int status)
{
    LIST_EACH (item, after, &supervisor->elders) {
        struct elder *elder = CONTAINER_OF(item, struct elder, link);
        if (elder->pid != pid)
            continue;
        if (elder->is_told && WIFEXITED(status))
            log_notice("supervisor", "%s (pid %d) of the program before has ended", elder->name,
                       (int)pid);
        else
            log_error("supervisor", "%s (pid %d) of the program before died: %s %d", elder->name,
                      (int)pid, WIFSIGNALED(status) ? "signal" : "status",
                      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        loop_timer_stop(supervisor->loop, &elder->kill);
        channel_stop(&elder->channel);
        list_remove(&elder->link);
        memory_free(elder);
        return true;
    }
    return false;
}

bool elders_have(const struct supervisor *supervisor, const char *name)
{
    LIST_EACH (item, after, &supervisor->elders) {
        const struct elder *elder = CONTAINER_OF(item, struct elder, link);
        if (strcmp(elder->name, name) == 0 && !elder->is_told)
            return true;
    }
    return false;
}

bool elders_are_many(const struct supervisor *supervisor)
{
    int fronts = 0;
    LIST_EACH (item, after, &supervisor->elders)
        fronts += strcmp(CONTAINER_OF(item, struct elder, link)->name, "front") == 0;
    return fronts >= SAME_MOST;
}

json_t *elders_status(const struct supervisor *supervisor)
{
    json_t *all = json_array();
    LIST_EACH (item, after, &supervisor->elders) {
        const struct elder *elder = CONTAINER_OF(item, struct elder, link);
        json_array_append_new(all, json_pack("{s:s, s:i, s:b}", "name", elder->name, "pid",
                                             (int)elder->pid, "is_told", elder->is_told));
    }
    return all;
}

void elders_clear(struct supervisor *supervisor)
{
    LIST_EACH (item, after, &supervisor->elders) {
        struct elder *elder = CONTAINER_OF(item, struct elder, link);
        channel_stop(&elder->channel);
        memory_free(elder);
    }
    list_init(&supervisor->elders);
}
