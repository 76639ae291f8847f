/* SPDX-License-Identifier: Apache-2.0
 *
 * A child process: takes its descriptors and configuration from the supervisor, runs its roles on
 * workers, and answers questions until it is told to end, or the supervisor is gone.
 */
#include "supervisor/child.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "supervisor/answers.h"
#include "supervisor/aside.h"
#include "supervisor/bundle.h"
#include "supervisor/channel.h"
#include "supervisor/counts.h"
#include "supervisor/listeners.h"
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    ROLES_LIMIT = 16,
    HEARTBEAT_MS = 200,
    DRAIN_POLL_MS = 50,
    DRAIN_S = 5, /* longest wait for what is under way */
    SETTLE_POLL_MS = 20,
    QUESTIONS_AT_ONCE = 16,
};

static const uint64_t ms = 1000000;

/* A new configuration on its way in. */
struct reload {
    struct aside aside;
    struct conf *conf;
    json_t *message;
    bool has_failed[ROLES_LIMIT]; /* to prepare */
    struct text why;
};

struct child {
    const char *name;
    const struct role *const *table;
    struct running_role roles[ROLES_LIMIT];
    size_t role_count;
    struct loop *loop;
    struct channel channel;
    struct loop_timer heartbeat, drain, leave, settle;
    uint64_t settle_until_ns;
    uint64_t drain_until_ns, leave_until_ns;
    struct worker_set *workers;
    uint32_t worker_count;
    uint8_t generation;
    char *node;
    void *_Atomic conf; /* struct conf */
    struct reload reload;
    struct descriptors descriptors;
    struct list questions; /* of the admin role */
    size_t question_count;
    json_int_t next_question;
    int exit_status;
    bool is_started, is_stopping;
    uint64_t settle_ns; /* how long it may take until it serves */
};

/* ---- the configuration */

const struct conf *child_conf(const struct child *child)
{
    return snapshot_read(&((struct child *)child)->conf);
}

static void release_conf(void *old)
{
    conf_free(old);
}

static void publish(struct child *child, struct conf *conf)
{
    snapshot_publish(&child->conf, conf, release_conf);
}

static bool needs_secrets(const struct child *child)
{
    return strcmp(child->name, "admin") != 0 && strcmp(child->name, "history") != 0 &&
           strcmp(child->name, "acme") != 0;
}

static enum bundle_part part_of(const struct child *child)
{
    return strcmp(child->name, "dns") == 0    ? BUNDLE_WITH_ZONE_KEYS
           : strcmp(child->name, "acme") == 0 ? BUNDLE_WITH_ORDER_KEYS
           : needs_secrets(child)             ? BUNDLE_WITH_SITE_KEYS
                                              : BUNDLE_PUBLIC;
}

/* NULL and a sentence, which is a surprise: the supervisor has checked these bytes. */
static struct conf *load(const struct child *child, const int *fds, size_t fd_count,
                         struct text *why)
{
    struct text bytes = {0}, errors = {0};
    struct bundle bundle = {0};
    struct conf *conf = NULL;
    if (bulk_read(fds[0], &bytes) ||
        bundle_parse(&bundle, text_span(&bytes), fd_count > 1 ? fds[1] : -1)) {
        text_add(why, "the supervisor's configuration is malformed");
    } else {
        struct conf_reader reader = bundle_reader(&bundle, part_of(child));
        conf = conf_load(bundle.files[0].path, text_span(&bundle.files[0].content),
                         needs_secrets(child) ? child->node : CONF_NO_NODE, &reader, &errors);
        if (conf && !conf_find_node(conf, child->node)) {
            conf_free(conf);
            conf = NULL;
        }
        if (!conf)
            text_add_format(why, "the configuration cannot be read again: %s",
                            errors.data ? errors.data : "");
    }
    if (bytes.data)
        explicit_bzero(bytes.data, bytes.capacity);
    text_clear(&bytes);
    text_clear(&errors);
    bundle_clear(&bundle);
    return conf;
}

/* ---- what roles ask for */

const struct conf_node *child_node(const struct child *child)
{
    return conf_find_node(child_conf(child), child->node);
}

const char *child_name_of_node(const struct child *child)
{
    return child->node;
}

struct loop *child_loop(const struct child *child)
{
    return child->loop;
}

struct worker_set *child_workers(const struct child *child)
{
    return child->workers;
}

uint32_t child_worker_count(const struct child *child)
{
    return child->worker_count;
}

bool child_settles(const struct child *child)
{
    return child->settle_ns;
}

uint8_t child_generation(const struct child *child)
{
    return child->generation;
}

void *child_role(const struct child *child, const char *name)
{
    for (size_t i = 0; i < child->role_count; i++)
        if (strcmp(child->roles[i].role->name, name) == 0)
            return child->roles[i].state;
    return NULL;
}

int child_listener(const struct child *child, enum listener_kind kind,
                   const struct address *address, uint32_t worker)
{
    char name[DESCRIPTOR_NAME_BYTES];
    listener_name(kind, address, worker, name);
    const struct descriptor *found = descriptors_find(&child->descriptors, name);
    return found ? found->fd : -1;
}

int child_folder(const struct child *child, const char *path)
{
    char name[DESCRIPTOR_NAME_BYTES];
    folder_name(path, name);
    const struct descriptor *found = descriptors_find(&child->descriptors, name);
    return found ? found->fd : -1;
}

void child_changed(struct child *child)
{
    channel_send(&child->channel, json_pack("{s:s}", "type", "changed"), NULL, 0);
}

void child_tell(struct child *child, json_t *command)
{
    channel_send(&child->channel, json_pack("{s:s, s:o}", "type", "tell", "command", command), NULL,
                 0);
}

/* ---- the log: files come as descriptors */

static struct child *the_child; /* the log's opener has no argument */
static pthread_mutex_t descriptors_lock =
    PTHREAD_MUTEX_INITIALIZER; /* the log's thread reads the table */

static int open_handed(const char *path)
{
    char name[DESCRIPTOR_NAME_BYTES];
    log_name(path, name);
    pthread_mutex_lock(&descriptors_lock);
    const struct descriptor *found = descriptors_find(&the_child->descriptors, name);
    int fd = found ? fcntl(found->fd, F_DUPFD_CLOEXEC, 4) : -1;
    pthread_mutex_unlock(&descriptors_lock);
    if (!found)
        errno = ENOENT;
    return fd;
}

static int open_log(const struct child *child)
{
    return log_open_node(child_node(child), child->name);
}

static void take_descriptors(struct child *child, const json_t *message, int *fds, size_t fd_count)
{
    json_t *list = json_object_get(message, "names");
    pthread_mutex_lock(&descriptors_lock);
    for (size_t i = 0; i < fd_count && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name)
            continue;
        descriptors_add(&child->descriptors, name, NULL, fds[i]);
        fds[i] = -1;
    }
    pthread_mutex_unlock(&descriptors_lock);
}

static void drop_descriptors(struct child *child, const json_t *message)
{
    json_t *list = json_object_get(message, "gone");
    pthread_mutex_lock(&descriptors_lock);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name)
            descriptors_drop(&child->descriptors, name);
    }
    pthread_mutex_unlock(&descriptors_lock);
}

/* ---- heartbeat */

static json_t *reasons_of(const struct child *child)
{
    json_t *reasons = json_array();
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        struct text why = {.limit = 1024};
        if (running->role->is_ready && !running->role->is_ready(running->state, &why))
            json_array_append_new(reasons, json_sprintf("%s: %s", running->role->name,
                                                        why.data ? why.data : "not ready"));
        text_clear(&why);
    }
    return reasons;
}

static void send_heartbeat(struct child *child)
{
    json_t *ages = json_array();
    uint64_t now = clock_now_ns();
    for (uint32_t i = 0; child->workers && i < workers_count(child->workers); i++) {
        uint64_t last = worker_last_turn_ns(workers_get(child->workers, i));
        json_array_append_new(ages, json_integer(now > last ? (json_int_t)((now - last) / ms) : 0));
    }
    for (size_t i = 0; i < child->role_count; i++)
        if (child->roles[i].role->age_ns)
            json_array_append_new(
                ages, json_integer(
                          (json_int_t)(child->roles[i].role->age_ns(child->roles[i].state) / ms)));
    channel_send(&child->channel,
                 json_pack("{s:s, s:o, s:o}", "type", "heartbeat", "ages_ms", ages, "reasons",
                           reasons_of(child)),
                 NULL, 0);
}

static void on_heartbeat(struct loop *loop, struct loop_timer *timer)
{
    send_heartbeat(CONTAINER_OF(timer, struct child, heartbeat));
    loop_timer_start(loop, timer, loop_now_ns(loop) + HEARTBEAT_MS * ms);
}

/* ---- answers to the supervisor's questions */

/* Another process's word: nobody waits for an answer. */
static void on_tell(const struct child *child, const json_t *message)
{
    struct text answer = {0};
    answers_write(child->roles, child->role_count, "command", json_object_get(message, "command"),
                  &answer);
    text_clear(&answer);
}

static void on_ask(struct child *child, const json_t *message)
{
    const char *what = json_string_value(json_object_get(message, "what"));
    struct text answer = {0};
    if (!what)
        return;
    answers_write(child->roles, child->role_count, what, json_object_get(message, "argument"),
                  &answer);
    json_t *reply = json_pack("{s:s, s:O}", "type", "answer", "id", json_object_get(message, "id"));
    int fd;
    if (bulk_new(text_span(&answer), "answer", &fd) == 0) {
        channel_send(&child->channel, reply, &fd, 1);
        close(fd);
    } else {
        channel_send(&child->channel, reply, NULL, 0);
    }
    text_clear(&answer);
}

/* ---- questions of the admin role */

int child_ask(struct child *child, struct child_question *question, const char *what,
              json_t *argument)
{
    if (child->question_count == QUESTIONS_AT_ONCE) {
        json_decref(argument);
        return ERROR_LIMIT;
    }
    question->child = child;
    question->id = ++child->next_question;
    json_t *message = json_pack("{s:s, s:I, s:s, s:o?}", "type", "question", "id", question->id,
                                "what", what, "argument", argument);
    if (!channel_send(&child->channel, message, NULL, 0))
        return ERROR_LIMIT;
    list_push_back(&child->questions, &question->link);
    child->question_count++;
    return 0;
}

void child_forget(struct child_question *question)
{
    list_remove(&question->link);
    question->child->question_count--;
}

static struct child_question *find_question(struct child *child, const json_t *message)
{
    json_int_t id = json_integer_value(json_object_get(message, "id"));
    LIST_EACH (link, after, &child->questions) {
        struct child_question *question = CONTAINER_OF(link, struct child_question, link);
        if (question->id == id)
            return question;
    }
    return NULL;
}

static void on_part(struct child *child, const json_t *message, const int *fds, size_t fd_count)
{
    struct child_question *question = find_question(child, message);
    const char *from = json_string_value(json_object_get(message, "child"));
    struct text content = {0};
    if (question && from && fd_count == 1 && bulk_read(fds[0], &content) == 0)
        question->on_part(question, from, text_span(&content));
    text_clear(&content);
}

static void on_end(struct child *child, const json_t *message)
{
    struct child_question *question = find_question(child, message);
    if (!question)
        return;
    child_forget(question);
    question->on_end(question, json_object_get(message, "missing"));
}

/* ---- roles on workers */

static int start_on_worker(struct worker *worker, void *argument)
{
    const struct child *child = argument;
    metrics_thread_start();
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        int result =
            running->role->worker_start ? running->role->worker_start(running->state, worker) : 0;
        if (result == 0)
            continue;
        log_error("supervisor", "%s cannot start on worker %u: %s", running->role->name,
                  worker_id(worker), error_text(result));
        while (i-- > 0)
            if (child->roles[i].role->worker_stop)
                child->roles[i].role->worker_stop(child->roles[i].state, worker);
        metrics_thread_stop();
        return result;
    }
    return 0;
}

static void stop_on_worker(struct worker *worker, void *argument)
{
    const struct child *child = argument;
    for (size_t i = child->role_count; i-- > 0;)
        if (child->roles[i].role->worker_stop)
            child->roles[i].role->worker_stop(child->roles[i].state, worker);
    metrics_thread_stop();
}

static void stop_roles(struct child *child)
{
    workers_stop(&child->workers);
    while (child->role_count > 0) {
        struct running_role *running = &child->roles[--child->role_count];
        if (running->role->stop)
            running->role->stop(running->state);
    }
}

static void fail(struct child *child, const char *why)
{
    channel_send(&child->channel, json_pack("{s:s, s:s}", "type", "failed", "why", why), NULL, 0);
    child->exit_status = 1;
    stop_roles(child);
    loop_stop(child->loop);
}

/* Roles without worker hooks need no workers: the admin child runs on its main thread alone. */
static int start_workers(struct child *child)
{
    bool is_needed = false;
    for (size_t i = 0; i < child->role_count; i++)
        is_needed |= child->roles[i].role->worker_start != NULL;
    if (!is_needed)
        return 0;
    struct worker_hooks hooks = {.start = start_on_worker,
                                 .stop = stop_on_worker,
                                 .argument = child};
    return workers_start(&child->workers, child->worker_count, child->name, &hooks);
}

static int start_roles(struct child *child, struct text *why)
{
    const struct conf_node *node = child_node(child);
    for (size_t i = 0; child->table[i]; i++) {
        const struct role *role = child->table[i];
        if (strcmp(role->child, child->name) != 0 || !role->is_wanted(node))
            continue;
        INVARIANT(child->role_count < ROLES_LIMIT);
        struct running_role running = {.role = role};
        int result = role->start ? role->start(child, &running.state, why) : 0;
        if (result) {
            if (!why->length)
                text_add_format(why, "%s: %s", role->name, error_text(result));
            return result;
        }
        child->roles[child->role_count++] = running;
    }
    int result = start_workers(child);
    if (result)
        text_add_format(why, "the workers do not start: %s", error_text(result));
    return result;
}

/* ---- what the supervisor says */

static bool are_ready(const struct child *child)
{
    bool all = true;
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        struct text why = {0};
        all &= !running->role->is_ready || running->role->is_ready(running->state, &why);
        text_clear(&why);
    }
    return all;
}

static void on_settle(struct loop *loop, struct loop_timer *timer)
{
    struct child *child = CONTAINER_OF(timer, struct child, settle);
    uint64_t now_ns = clock_now_ns();
    if (now_ns < child->settle_until_ns && !are_ready(child)) {
        loop_timer_start(loop, timer, now_ns + SETTLE_POLL_MS * ms);
        return;
    }
    for (size_t i = 0; i < child->role_count; i++)
        if (child->roles[i].role->serve)
            child->roles[i].role->serve(child->roles[i].state);
    channel_send(&child->channel, json_pack("{s:s}", "type", "ready"), NULL, 0);
}

static void on_start(struct child *child, const json_t *message, const int *fds, size_t fd_count)
{
    const char *node = json_string_value(json_object_get(message, "node"));
    if (child->is_started || !node || !fd_count)
        return;
    struct text why = {0};
    child->is_started = true;
    child->node = memory_text(node, strlen(node));
    child->worker_count = (uint32_t)json_integer_value(json_object_get(message, "workers"));
    child->settle_ns = (uint64_t)json_integer_value(json_object_get(message, "settle_ms")) * ms;
    child->generation = (uint8_t)json_integer_value(json_object_get(message, "generation"));
    struct conf *conf = load(child, fds, fd_count, &why);
    int result = ERROR_CONFIG;
    if (conf) {
        publish(child, conf);
        if (open_log(child))
            log_error("supervisor", "cannot open the log: %s", strerror(errno));
        send_heartbeat(child);
        result = start_roles(child, &why);
    }
    if (result) {
        fail(child, why.data ? why.data : error_text(result));
    } else {
        loop_timer_start(child->loop, &child->heartbeat, 0);
        child->settle_until_ns = clock_now_ns() + child->settle_ns;
        on_settle(child->loop, &child->settle);
    }
    text_clear(&why);
}

static void nothing(struct worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static void add_why(struct text *why, const struct role *role, int result, const struct text *own)
{
    text_add_format(why, "%s%s: %s", why->length ? "; " : "", role->name,
                    own->data ? own->data : error_text(result));
}

static void prepare_roles(void *argument)
{
    struct child *child = argument;
    struct reload *reload = &child->reload;
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        struct text own = {.limit = 4096};
        int result =
            running->role->prepare ? running->role->prepare(running->state, reload->conf, &own) : 0;
        reload->has_failed[i] = result != 0;
        if (result)
            add_why(&reload->why, running->role, result, &own);
        text_clear(&own);
    }
}

static void reload_roles(struct child *child)
{
    struct reload *reload = &child->reload;
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        struct text own = {.limit = 4096};
        int result = running->role->reload && !reload->has_failed[i]
                         ? running->role->reload(running->state, &own)
                         : 0;
        if (result)
            add_why(&reload->why, running->role, result, &own);
        text_clear(&own);
    }
}

static void end_reload(struct child *child)
{
    struct reload *reload = &child->reload;
    channel_send(&child->channel,
                 json_pack("{s:s, s:s?}", "type", "reloaded", "why", reload->why.data), NULL, 0);
    text_clear(&reload->why);
    json_decref(reload->message);
    reload->message = NULL;
}

static void on_prepared(void *argument)
{
    struct child *child = argument;
    struct reload *reload = &child->reload;
    publish(child, reload->conf);
    reload->conf = NULL;
    if (open_log(child))
        text_add_format(&reload->why, "cannot open the log: %s", strerror(errno));
    reload_roles(child);
    if (child->workers) /* behind every message that the roles sent to workers */
        workers_run_on_all(child->workers, nothing, NULL);
    drop_descriptors(child, reload->message);
    end_reload(child);
}

/* The supervisor sends no other before it has the answer. */
static void on_reload(struct child *child, const json_t *message, const int *fds, size_t fd_count)
{
    struct reload *reload = &child->reload;
    if (!child->is_started || child->is_stopping || !fd_count || reload->message)
        return;
    reload->message = json_incref((json_t *)(uintptr_t)message);
    reload->conf = load(child, fds, fd_count, &reload->why);
    if (reload->conf)
        aside_start(&reload->aside, child->loop);
    else
        end_reload(child);
}

static bool are_drained(const struct child *child)
{
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        if (running->role->is_drained && !running->role->is_drained(running->state))
            return false;
    }
    return true;
}

static void on_drain(struct loop *loop, struct loop_timer *timer)
{
    struct child *child = CONTAINER_OF(timer, struct child, drain);
    bool is_late = loop_now_ns(loop) >= child->drain_until_ns;
    if (!is_late && !are_drained(child)) {
        loop_timer_start(loop, timer, loop_now_ns(loop) + DRAIN_POLL_MS * ms);
        return;
    }
    if (is_late)
        log_notice("supervisor", "not everything ended in time");
    loop_stop(loop);
}

/* "drain_s": a successor serves, and what is under way may go on for so long. */
static void on_stop(struct child *child, const json_t *message)
{
    json_int_t drain_s = json_integer_value(json_object_get(message, "drain_s"));
    uint64_t until_ns = clock_now_ns() + (uint64_t)(drain_s > 0 ? drain_s : DRAIN_S) * 1000 * ms;
    if (child->is_stopping && until_ns < child->drain_until_ns)
        child->drain_until_ns = until_ns;
    if (child->is_stopping)
        return;
    child->is_stopping = true;
    for (size_t i = 0; i < child->role_count; i++)
        if (child->roles[i].role->drain)
            child->roles[i].role->drain(child->roles[i].state, drain_s > 0);
    descriptors_drop_accepting(&child->descriptors);
    child->drain_until_ns = until_ns;
    loop_timer_start(child->loop, &child->drain, 0);
}

static bool have_left(const struct child *child)
{
    for (size_t i = 0; i < child->role_count; i++) {
        const struct running_role *running = &child->roles[i];
        if (running->role->has_left && !running->role->has_left(running->state))
            return false;
    }
    return true;
}

static void on_leave_timer(struct loop *loop, struct loop_timer *timer)
{
    struct child *child = CONTAINER_OF(timer, struct child, leave);
    if (!have_left(child) && loop_now_ns(loop) < child->leave_until_ns)
        loop_timer_start(loop, timer, loop_now_ns(loop) + DRAIN_POLL_MS * ms);
    else
        channel_send(&child->channel, json_pack("{s:s}", "type", "left"), NULL, 0);
}

static void on_leave(struct child *child)
{
    for (size_t i = 0; i < child->role_count; i++)
        if (child->roles[i].role->leave)
            child->roles[i].role->leave(child->roles[i].state);
    child->leave_until_ns = clock_now_ns() + DRAIN_S * 1000 * ms;
    loop_timer_start(child->loop, &child->leave, 0);
}

static void on_message(struct channel *channel, const json_t *message, int *fds, size_t fd_count)
{
    struct child *child = CONTAINER_OF(channel, struct child, channel);
    const char *type = channel_message_type(message);
    if (strcmp(type, "descriptors") == 0)
        take_descriptors(child, message, fds, fd_count);
    else if (strcmp(type, "start") == 0)
        on_start(child, message, fds, fd_count);
    else if (strcmp(type, "reload") == 0)
        on_reload(child, message, fds, fd_count);
    else if (strcmp(type, "reopen") == 0)
        log_reopen();
    else if (strcmp(type, "ask") == 0)
        on_ask(child, message);
    else if (strcmp(type, "tell") == 0)
        on_tell(child, message);
    else if (strcmp(type, "part") == 0)
        on_part(child, message, fds, fd_count);
    else if (strcmp(type, "end") == 0)
        on_end(child, message);
    else if (strcmp(type, "leave") == 0)
        on_leave(child);
    else if (strcmp(type, "stop") == 0)
        on_stop(child, message);
}

static void on_closed(struct channel *channel)
{
    struct child *child = CONTAINER_OF(channel, struct child, channel);
    channel_stop(channel);
    loop_stop(child->loop); /* the supervisor is gone */
}

/* ---- life */

int child_run(const char *name, const struct role *const *roles)
{
    struct child child = {
        .name = name,
        .table = roles,
        .loop = loop_new(),
        .channel = {.on_message = on_message, .on_closed = on_closed},
        .heartbeat.fire = on_heartbeat,
        .drain.fire = on_drain,
        .leave.fire = on_leave_timer,
        .settle.fire = on_settle,
        .reload.aside = {.work = prepare_roles, .done = on_prepared},
    };
    child.reload.aside.argument = &child;
    process_begin(name);
    the_child = &child;
    list_init(&child.questions);
    log_set_opener(open_handed);
    metrics_thread_start();
    channel_start(&child.channel, child.loop, PROCESS_CHILD_SOCKET);
    loop_run(child.loop);
    aside_finish(&child.reload.aside);
    stop_roles(&child);
    publish(&child, NULL);
    snapshot_settle();
    log_close();
    metrics_thread_stop();
    channel_stop(&child.channel);
    descriptors_clear(&child.descriptors);
    memory_free(child.node);
    loop_free(&child.loop);
    return child.exit_status;
}
