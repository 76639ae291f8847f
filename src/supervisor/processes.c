/* SPDX-License-Identifier: Apache-2.0
 *
 * The children: started, listened to, started again when they die, killed when they stall, stopped.
 */
#include "supervisor/private.h"

#include "observe/observe.h"
#include "supervisor/counts.h"
#include "supervisor/upgrade.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t ms = 1000000, second = 1000000000;

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LONGEST_MS = 5000,
    HEALTHY_S = 10, /* a life this long resets the backoff */
    STALL_S = 10,   /* without a sign of life, or with no worker turning */
    START_S = 60,   /* longest start */
    SILENT_S = 5,   /* without a heartbeat: no ping to the service manager */
    STOP_S = 7,     /* longest stop: 5 s of draining, and some */
    ABORT_S = 2,    /* from SIGABRT to SIGKILL */
    /* How long a child may take until it serves, where it is not ready at once: beside the one before, which still serves, and after one that died.
     * Then its visitors are in the queue of the descriptors meanwhile, which is better than an answer that nobody can serve them. */
    SETTLE_MS = 3000,
    RESETTLE_MS = 1000,
};

static const char *const names[CHILDREN] = {"front", "dns", "history", "acme", "admin"};
static const char *const state_names[] = {
#define X(name, text) [PROCESS_##name] = (text),
    PROCESS_STATE_LIST(X)
#undef X
};

const char *process_name(const char *name)
{
    for (int i = 0; i < CHILDREN; i++)
        if (strcmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

void processes_go_on(struct supervisor *supervisor, const char *name, uint32_t starts,
                     uint8_t generation)
{
    for (int i = 0; i < CHILDREN; i++)
        if (strcmp(names[i], name) == 0) {
            supervisor->processes[i].starts = starts;
            supervisor->processes[i].generation = generation;
        }
}

static void set_state(struct process *process, enum process_state state)
{
    log_debug("supervisor", "%s: %s -> %s", process->name, state_names[process->state],
              state_names[state]);
    process->state = state;
    counts_ready((unsigned)(process - process->supervisor->processes), state == PROCESS_READY);
}

static bool is_alive(const struct process *process)
{
    return process->pid > 0;
}

/* ---- messages */

static void send_descriptors(struct process *process)
{
    struct descriptors *table = &process->supervisor->descriptors;
    for (size_t i = 0; i < table->count;) {
        int fds[CHANNEL_DESCRIPTORS];
        size_t count = 0, length = 0;
        json_t *list = json_array();
        for (;
             i < table->count && count < CHANNEL_DESCRIPTORS && length < CHANNEL_MESSAGE_BYTES / 4;
             i++) {
            struct descriptor *descriptor = &table->items[i];
            bool is_for = !descriptor->child || strcmp(descriptor->child, process->name) == 0;
            if (!is_for || !descriptor->is_wanted || (descriptor->sent & process->bit))
                continue;
            descriptor->sent |= process->bit;
            json_array_append_new(list, json_string(descriptor->name));
            length += strlen(descriptor->name);
            fds[count++] = descriptor->fd;
        }
        json_t *message = json_pack("{s:s, s:o}", "type", "descriptors", "names", list);
        if (!count)
            json_decref(message);
        else if (!channel_send(&process->channel, message, fds, count))
            log_error("supervisor", "%s does not take its descriptors", process->name);
    }
}

/* Those that look at the others: they get no secrets, and may ask. */
static bool is_observer(const struct process *process)
{
    return strcmp(process->name, "admin") == 0 || strcmp(process->name, "history") == 0;
}

/* The one that orders certificates: it speaks to strangers, and has secrets of its own alone. */
static bool is_acme(const struct process *process)
{
    return strcmp(process->name, "acme") == 0;
}

/* The front child gets none of the zones' keys, the DNS server none of the sites'. */
static enum bundle_part part_of(const struct process *process)
{
    return is_observer(process)                ? BUNDLE_PUBLIC
           : is_acme(process)                  ? BUNDLE_WITH_ORDER_KEYS
           : strcmp(process->name, "dns") == 0 ? BUNDLE_WITH_ZONE_KEYS
                                               : BUNDLE_WITH_SITE_KEYS;
}

/* The configuration's bytes. */
static void send_bundle(struct process *process, json_t *message)
{
    struct text bytes = {0};
    struct supervisor *supervisor = process->supervisor;
    const struct bundle *bundle = process->has_refused && supervisor->before.count
                                      ? &supervisor->before
                                      : &supervisor->bundle;
    int fds[] = {-1, bundle->memory};
    bundle_write(bundle, part_of(process), &bytes);
    int result = bulk_new(text_span(&bytes), "configuration", &fds[0]);
    if (bytes.data)
        explicit_bzero(bytes.data, bytes.capacity);
    text_clear(&bytes);
    if (result) {
        json_decref(message);
        log_error("supervisor", "cannot hand the configuration to %s: %s", process->name,
                  error_text(result));
        return;
    }
    if (!channel_send(&process->channel, message, fds, bundle->has_memory ? 2 : 1))
        log_error("supervisor", "%s does not take its configuration", process->name);
    close(fds[0]);
}

static void on_ready(struct process *process)
{
    if (process->state != PROCESS_STARTING)
        return;
    set_state(process, PROCESS_READY);
    log_info("supervisor", "%s is ready pid=%d", process->name, (int)process->pid);
    elders_let_go(process->supervisor, process->name);
    supervisor_child_ready(process->supervisor);
}

static void ask_to_reload(struct process *process)
{
    struct descriptors *table = &process->supervisor->descriptors;
    json_t *gone = json_array();
    for (size_t i = 0; i < table->count; i++) {
        struct descriptor *descriptor = &table->items[i];
        if (descriptor->is_wanted || !(descriptor->sent & process->bit))
            continue;
        json_array_append_new(gone, json_string(descriptor->name));
        descriptor->sent &= (uint8_t)~process->bit;
        descriptor->leaving |= process->bit;
    }
    send_descriptors(process);
    process->is_asked = true;
    process->is_behind = false;
    process->has_refused = false;
    send_bundle(process, json_pack("{s:s, s:o}", "type", "reload", "gone", gone));
}

bool processes_took(const struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++)
        if (supervisor->processes[i].is_asked || supervisor->processes[i].has_refused)
            return false;
    return true;
}

static void on_reloaded(struct process *process, const json_t *message)
{
    descriptors_left(&process->supervisor->descriptors, process->bit, false);
    const char *why = json_string_value(json_object_get(message, "why"));
    process->is_asked = false;
    process->has_refused = why != NULL;
    if (process->is_behind) {
        ask_to_reload(process);
    } else if (processes_took(process->supervisor)) {
        bundle_clear(&process->supervisor->before);
        log_notice("supervisor", "every process has taken the configuration hash=%s",
                   process->supervisor->conf->hash);
    }
    if (!why)
        return;
    log_error("supervisor", "%s keeps its old configuration: %s", process->name, why);
    snprintf(process->supervisor->reload_error, sizeof process->supervisor->reload_error, "%s: %s",
             process->name, why);
}

/* To all others, about its own matters only. */
static void pass_word(struct process *from, const json_t *message)
{
    json_t *command = json_object_get(message, "command");
    const char *verb = json_string_value(json_object_get(command, "verb"));
    if (!verb || strcmp(verb, "acme") != 0)
        return;
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &from->supervisor->processes[i];
        if (process != from && process->state == PROCESS_READY)
            channel_send(&process->channel,
                         json_pack("{s:s, s:O}", "type", "tell", "command", command), NULL, 0);
    }
}

static void on_message(struct channel *channel, const json_t *message, int *fds, size_t fd_count)
{
    struct process *process = CONTAINER_OF(channel, struct process, channel);
    const char *type = channel_message_type(message);
    bool may_ask = is_observer(process);
    if (strcmp(type, "heartbeat") == 0) {
        process->heard_ns = clock_now_ns();
        json_decref(process->heartbeat);
        process->heartbeat = json_incref((json_t *)message);
    } else if (strcmp(type, "ready") == 0) {
        on_ready(process);
    } else if (strcmp(type, "failed") == 0) {
        const char *why = json_string_value(json_object_get(message, "why"));
        snprintf(process->why, sizeof process->why, "%s", why ? why : "");
        process->has_refused = process->supervisor->before.count > 0;
    } else if (strcmp(type, "reloaded") == 0) {
        on_reloaded(process, message);
    } else if (strcmp(type, "answer") == 0) {
        questions_answer(process, message, fds, fd_count);
    } else if (strcmp(type, "question") == 0 && may_ask) {
        questions_ask(process, message);
    } else if (strcmp(type, "changed") == 0 && is_acme(process)) {
        supervisor_refresh_soon(process->supervisor);
    } else if (strcmp(type, "tell") == 0 && is_acme(process)) {
        pass_word(process, message);
    } else if (strcmp(type, "left") == 0) {
        upgrade_go_on(process->supervisor);
    } else {
        log_warning("supervisor", "%s sent a message of an unknown type", process->name);
    }
}

static void on_closed(struct channel *channel)
{
    channel_stop(channel); /* it ends, or has: SIGCHLD tells */
}

/* ---- starting */

static uint32_t wanted_roles(const struct process *process)
{
    const struct role *const *roles = process->supervisor->options->roles;
    uint32_t wanted = 0;
    for (uint32_t i = 0; roles[i]; i++)
        if (strcmp(roles[i]->child, process->name) == 0 &&
            roles[i]->is_wanted(process->supervisor->conf->self))
            wanted |= 1u << i;
    return wanted;
}

static void wait_and_restart(struct process *process)
{
    set_state(process, PROCESS_WAITING);
    loop_timer_start(process->supervisor->loop, &process->restart,
                     clock_now_ns() + process->backoff_ns);
}

static void start(struct process *process)
{
    struct supervisor *supervisor = process->supervisor;
    int pair[2];
    process->roles = wanted_roles(process);
    process->restarts_at_once = false;
    process->why[0] = 0;
    json_decref(process->heartbeat);
    process->heartbeat = NULL;
    int result = channel_pair(pair);
    pid_t pid = result ? -1 : process_start(process->name, pair[1], &supervisor->identity);
    if (result == 0)
        close(pair[1]);
    if (pid < 0) {
        log_error("supervisor", "cannot start %s: no process or descriptor left", process->name);
        if (result == 0)
            close(pair[0]);
        wait_and_restart(process);
        return;
    }
    process->pid = pid;
    if (process->starts++)
        counts_respawn((unsigned)(process - supervisor->processes));
    process->started_ns = process->heard_ns = clock_now_ns();
    channel_start(&process->channel, supervisor->loop, pair[0]);
    set_state(process, PROCESS_STARTING);
    for (size_t i = 0; i < supervisor->descriptors.count; i++)
        supervisor->descriptors.items[i].sent &= (uint8_t)~process->bit;
    send_descriptors(process);
    process->generation =
        process->starts > 1
            ? elders_generation(supervisor, process->name, process->generation)
            : (uint8_t)(supervisor->started_ns / second & 3); /* after a restart of the node, too */
    int settle_ms = elders_have(supervisor, process->name) ? SETTLE_MS
                    : process->starts > 1                  ? RESETTLE_MS
                                                           : 0;
    send_bundle(process, json_pack("{s:s, s:s, s:i, s:i, s:i}", "type", "start", "node",
                                   supervisor->node, "workers", (int)supervisor->workers,
                                   "generation", (int)process->generation, "settle_ms", settle_ms));
}

static void on_restart(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    start(CONTAINER_OF(timer, struct process, restart));
}

/* ---- ending */

static void describe_end(struct process *process, int status)
{
    if (WIFSIGNALED(status))
        snprintf(process->last_end, sizeof process->last_end, "was killed by signal %d (%s%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(process->last_end, sizeof process->last_end, "ended with status %d",
                 WEXITSTATUS(status));
}

static void after_unexpected_end(struct process *process)
{
    uint64_t now = clock_now_ns();
    bool was_healthy = now - process->started_ns >= HEALTHY_S * second;
    if (process->backoff_ns == 0 || was_healthy)
        process->backoff_ns = BACKOFF_FIRST_MS * ms;
    else
        process->backoff_ns *= 2;
    if (process->backoff_ns > BACKOFF_LONGEST_MS * ms)
        process->backoff_ns = BACKOFF_LONGEST_MS * ms;
    log_error("supervisor", "%s (pid %d) %s%s%s; it is started again in %llu ms", process->name,
              (int)process->pid, process->last_end, process->why[0] ? ": " : "", process->why,
              (unsigned long long)(process->backoff_ns / ms));
    process->pid = 0;
    wait_and_restart(process);
}

static void ended(struct process *process, int status)
{
    struct supervisor *supervisor = process->supervisor;
    enum process_state before = process->state;
    describe_end(process, status);
    loop_timer_stop(supervisor->loop, &process->kill);
    channel_stop(&process->channel);
    process->is_asked = process->is_behind = false;
    descriptors_left(&supervisor->descriptors, process->bit, true);
    questions_child_ended(process);
    if (before == PROCESS_STOPPING) {
        log_info("supervisor", "%s (pid %d) %s", process->name, (int)process->pid,
                 process->last_end);
        process->pid = 0;
        set_state(process, PROCESS_ABSENT);
        if (process->restarts_at_once && supervisor->phase != PHASE_STOPPING)
            start(process);
    } else if (before == PROCESS_STARTING && supervisor->phase == PHASE_STARTING &&
               process->why[0] && !supervisor->is_successor) {
        process->pid = 0;
        set_state(process, PROCESS_ABSENT);
        supervisor_child_failed(supervisor, process);
    } else {
        after_unexpected_end(process);
    }
    supervisor_child_ended(supervisor);
}

/* What a child said before its end is still in its channel. */
static void read_last_words(struct process *process)
{
    if (process->channel.loop)
        process->channel.watch.ready(process->channel.loop, &process->channel.watch, EPOLLIN);
}

void processes_reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (upgrade_reap(supervisor, pid, status) || elders_reap(supervisor, pid, status)) {
            supervisor_child_ended(supervisor);
            continue;
        }
        for (int i = 0; i < CHILDREN; i++)
            if (supervisor->processes[i].pid == pid) {
                read_last_words(&supervisor->processes[i]);
                ended(&supervisor->processes[i], status);
            }
    }
}

static void on_kill(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    struct process *process = CONTAINER_OF(timer, struct process, kill);
    if (!is_alive(process))
        return;
    log_warning("supervisor", "%s (pid %d) does not end: it is killed", process->name,
                (int)process->pid);
    kill(process->pid, SIGKILL);
}

static void stop(struct process *process)
{
    struct supervisor *supervisor = process->supervisor;
    loop_timer_stop(supervisor->loop, &process->restart);
    if (!is_alive(process)) {
        set_state(process, PROCESS_ABSENT);
        return;
    }
    set_state(process, PROCESS_STOPPING);
    loop_timer_start(supervisor->loop, &process->kill, clock_now_ns() + STOP_S * second);
    if (!channel_send(&process->channel, json_pack("{s:s}", "type", "stop"), NULL, 0))
        kill(process->pid, SIGTERM);
}

bool processes_leave(struct supervisor *supervisor)
{
    for (int i = 0; supervisor->conf->self->gateway && i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        if (strcmp(process->name, "front") == 0 && process->state == PROCESS_READY)
            return channel_send(&process->channel, json_pack("{s:s}", "type", "leave"), NULL, 0);
    }
    return false;
}

void processes_stop(struct supervisor *supervisor, bool at_once)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        if (at_once && is_alive(process))
            kill(process->pid, SIGKILL);
        if (process->state != PROCESS_STOPPING)
            stop(process);
    }
}

bool processes_are_gone(const struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++)
        if (is_alive(&supervisor->processes[i]))
            return false;
    return true;
}

/* ---- following the configuration */

void processes_init(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++)
        supervisor->processes[i] = (struct process){
            .supervisor = supervisor,
            .name = names[i],
            .bit = (uint8_t)(1 << i),
            .channel = {.on_message = on_message, .on_closed = on_closed},
            .restart.fire = on_restart,
            .kill.fire = on_kill,
        };
}

void processes_follow(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        uint32_t wanted = wanted_roles(process);
        if (process->state == PROCESS_STOPPING) {
            process->restarts_at_once = wanted != 0;
        } else if (process->state == PROCESS_ABSENT && wanted) {
            start(process);
        } else if (process->state != PROCESS_ABSENT && process->roles != wanted) {
            log_notice("supervisor", "%s is stopped%s: its roles have changed", process->name,
                       wanted ? " and started again" : "");
            process->restarts_at_once = wanted != 0;
            stop(process);
            if (!is_alive(process) && wanted)
                start(process);
        }
    }
}

void processes_reload(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        bool runs = is_alive(process) && process->state != PROCESS_STOPPING &&
                    process->roles == wanted_roles(process);
        if (runs && process->is_asked)
            process->is_behind = true;
        else if (runs)
            ask_to_reload(process);
    }
}

void processes_reopen_logs(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        if (!is_alive(process))
            continue;
        send_descriptors(process);
        channel_send(&process->channel, json_pack("{s:s}", "type", "reopen"), NULL, 0);
    }
}

/* ---- signs of life */

/* Of the worker that turned last; 0 when the child has no workers or has said nothing yet. */
static uint64_t least_age_ns(const struct process *process)
{
    json_t *ages = json_object_get(process->heartbeat, "ages_ms");
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < json_array_size(ages); i++) {
        uint64_t age = (uint64_t)json_integer_value(json_array_get(ages, i)) * ms;
        least = age < least ? age : least;
    }
    return least == UINT64_MAX ? 0 : least;
}

static void check(struct process *process)
{
    uint64_t silent_ns = clock_now_ns() - process->heard_ns;
    uint64_t limit_ns = process->state == PROCESS_STARTING ? START_S * second : STALL_S * second;
    bool is_stalled = least_age_ns(process) > STALL_S * second;
    if ((silent_ns <= limit_ns && !is_stalled) || loop_timer_is_running(&process->kill))
        return;
    log_error("supervisor", "%s (pid %d) %s for %llu s: it is aborted", process->name,
              (int)process->pid, is_stalled ? "has not turned a worker" : "has not been heard of",
              (unsigned long long)((is_stalled ? least_age_ns(process) : silent_ns) / second));
    kill(process->pid, SIGABRT);
    loop_timer_start(process->supervisor->loop, &process->kill, clock_now_ns() + ABORT_S * second);
}

void processes_check(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct process *process = &supervisor->processes[i];
        if (process->state == PROCESS_STARTING || process->state == PROCESS_READY)
            check(process);
    }
}

bool processes_give_signs(const struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        const struct process *process = &supervisor->processes[i];
        if (process->state == PROCESS_READY &&
            clock_now_ns() - process->heard_ns > SILENT_S * second)
            return false;
    }
    return true;
}

static void add_reasons(json_t *reasons, const struct process *process)
{
    json_t *own = json_object_get(process->heartbeat, "reasons");
    if (process->state != PROCESS_READY)
        json_array_append_new(reasons,
                              json_sprintf("%s is %s", process->name, state_names[process->state]));
    for (size_t i = 0; i < json_array_size(own); i++)
        json_array_append(reasons, json_array_get(own, i));
}

bool processes_are_ready(const struct supervisor *supervisor, json_t *reasons)
{
    json_t *all = reasons ? json_incref(reasons) : json_array();
    for (int i = 0; i < CHILDREN; i++)
        if (supervisor->processes[i].state != PROCESS_ABSENT)
            add_reasons(all, &supervisor->processes[i]);
    bool is_ready = json_array_size(all) == 0;
    json_decref(all);
    return is_ready;
}

json_t *processes_status(const struct supervisor *supervisor)
{
    json_t *list = json_array();
    uint64_t now = clock_now_ns();
    for (int i = 0; i < CHILDREN; i++) {
        const struct process *process = &supervisor->processes[i];
        if (process->state == PROCESS_ABSENT && !process->starts)
            continue;
        json_t *ages = json_object_get(process->heartbeat, "ages_ms");
        json_t *status =
            json_pack("{s:s, s:s, s:i, s:i, s:f, s:f}", "name", process->name, "state",
                      state_names[process->state], "pid", (int)process->pid, "respawns",
                      (int)(process->starts ? process->starts - 1 : 0), "uptime_s",
                      is_alive(process) ? (double)(now - process->started_ns) / 1e9 : 0.0,
                      "heartbeat_age_s", (double)(now - process->heard_ns) / 1e9);
        json_object_set_new(status, "last_turn_ages_ms", ages ? json_incref(ages) : json_array());
        json_object_set_new(status, "last_end",
                            process->last_end[0] ? json_string(process->last_end) : json_null());
        json_array_append_new(list, status);
    }
    return list;
}
