/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's life: reads and checks the configuration, opens what is listened on, starts the
 * children, then waits for signals. HUP reloads, USR1 reopens logs, USR2 has another program file take over, TERM and INT end it
 * in order (a second one at once).
 */
#include "supervisor/private.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "supervisor/counts.h"
#include "supervisor/notify.h"

#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const uint64_t tick_ns = 250000000, ns_per_second = 1000000000;

/* ---- configuration */

/* NULL: every error is in `errors`. */
static struct conf *load(const char *file, const char *node, bool is_start, struct bundle *bundle,
                         struct text *errors)
{
    struct text content = {.limit = CONF_FILE_BYTES}, why = {0};
    struct conf *conf = NULL;
    if (conf_read_file(file, &content, &why)) {
        text_add_format(errors, "%s: %s\n", file, why.data ? why.data : "cannot be read");
    } else {
        bundle_add(bundle, file, false, text_span(&content));
        struct conf_reader reader = bundle_recorder(bundle);
        reader.takes_expired = is_start;
        conf = conf_load(file, text_span(&content), node, &reader, errors);
        bundle_seal(bundle);
    }
    text_clear(&content);
    text_clear(&why);
    if (!conf)
        bundle_clear(bundle);
    return conf;
}

int supervisor_judge_folder(const char *path, const char *user, struct text *why)
{
    struct identity identity;
    int result = identity_find(user, &identity, why);
    return result ? result : folder_judge(path, &identity, why);
}

static bool has_roles(const struct supervisor_options *options, const struct conf_node *node)
{
    for (size_t i = 0; options->roles[i]; i++)
        if (strcmp(options->roles[i]->child, "admin") != 0 &&
            strcmp(options->roles[i]->child, "history") != 0 && options->roles[i]->is_wanted(node))
            return true;
    return false;
}

static void log_lines(enum log_level level, const struct text *lines)
{
    struct span rest = text_span(lines);
    while (rest.length) {
        size_t length = span_find(rest, '\n');
        if (length)
            log_write(level, "supervisor", "%.*s", (int)length, (const char *)rest.data);
        rest = span_from(rest, length + 1);
    }
}

static void use(struct supervisor *supervisor, struct conf *conf, struct bundle *bundle)
{
    conf_free(supervisor->conf);
    if (processes_took(supervisor)) {
        bundle_clear(&supervisor->before);
        supervisor->before = supervisor->bundle;
    } else {
        bundle_clear(&supervisor->bundle); /* somebody runs the one before still */
    }
    supervisor->conf = conf;
    supervisor->bundle = *bundle;
    supervisor->loaded_wall_ns = clock_wall_ns();
    counts_loaded(supervisor->loaded_wall_ns);
}

static void warn_of_restart(const struct supervisor *supervisor, const struct conf *loaded)
{
    struct text names = {0};
    conf_write_unchangeable(supervisor->conf, loaded, &names);
    if (names.length)
        log_warning("supervisor", "takes effect at the next start: %s", names.data);
    text_clear(&names);
}

static void keep_old(struct supervisor *supervisor, const struct text *errors)
{
    log_lines(LOG_ERROR, errors);
    log_error("supervisor", "reload failed: the old configuration stays hash=%s",
              supervisor->conf->hash);
    snprintf(supervisor->reload_error, sizeof supervisor->reload_error, "%s",
             errors->data ? errors->data : "");
}

static void reload(struct supervisor *supervisor)
{
    char state[96];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)(clock_now_ns() / 1000));
    notify_send(state);
    struct text errors = {0};
    struct bundle bundle = {0};
    struct conf *conf = load(supervisor->options->file, supervisor->node, false, &bundle, &errors);
    if (conf && !has_roles(supervisor->options, conf->self)) {
        text_add_format(&errors, "%s: node %s has no role any more\n", supervisor->options->file,
                        supervisor->node);
        conf_free(conf);
        conf = NULL;
        bundle_clear(&bundle);
    }
    bool has_folder = !conf || !conf->self->has_acme ||
                      folder_make(conf->self->acme_folder, &supervisor->identity, &errors) == 0;
    if (conf && (!has_folder ||
                 descriptors_open(&supervisor->descriptors, conf, supervisor->workers, &errors))) {
        conf_free(conf);
        conf = NULL;
        bundle_clear(&bundle);
    }
    counts_reload(conf != NULL);
    if (!conf) {
        keep_old(supervisor, &errors);
    } else {
        log_lines(LOG_WARNING, &errors);
        supervisor->reload_error[0] = 0;
        warn_of_restart(supervisor, conf);
        use(supervisor, conf, &bundle);
        if (log_open_node(conf->self, "supervisor"))
            log_error("supervisor", "cannot open the log %s: %s", conf->self->log_path,
                      strerror(errno));
        log_notice("supervisor", "reloaded hash=%s", conf->hash);
        processes_reload(supervisor);
        processes_follow(supervisor);
        descriptors_close_unwanted(&supervisor->descriptors);
    }
    text_clear(&errors);
    notify_send("READY=1");
}

/* ---- certificates of ACME */

static const uint64_t refresh_pause_ns = 200000000; /* for several at a time */

void supervisor_refresh_soon(struct supervisor *supervisor)
{
    if (supervisor->phase != PHASE_STOPPING && !loop_timer_is_running(&supervisor->refresh))
        loop_timer_start(supervisor->loop, &supervisor->refresh, clock_now_ns() + refresh_pause_ns);
}

/* The configuration as it was, with what the folder holds now: an operator's half-written file is none of this. */
static void on_refresh(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    struct supervisor *supervisor = CONTAINER_OF(timer, struct supervisor, refresh);
    struct text errors = {0};
    struct bundle bundle = {0};
    bundle_copy_without(&supervisor->bundle, supervisor->conf->self->acme_folder, &bundle);
    struct conf_reader reader = bundle_recorder(&bundle);
    reader.takes_expired = true; /* what expired meanwhile is no reason against what came */
    struct conf *conf = conf_load(bundle.files[0].path, text_span(&bundle.files[0].content),
                                  supervisor->node, &reader, &errors);
    if (conf) {
        use(supervisor, conf, &bundle);
        log_notice("supervisor", "files of acme_folder are taken");
        processes_reload(supervisor);
    } else {
        log_lines(LOG_ERROR, &errors);
        log_error("supervisor", "files of acme_folder are not taken");
        bundle_clear(&bundle);
    }
    text_clear(&errors);
}

/* ---- signals */

static void stop(struct supervisor *supervisor)
{
    bool at_once = supervisor->phase == PHASE_STOPPING;
    supervisor->phase = PHASE_STOPPING;
    notify_send("STOPPING=1");
    log_notice("supervisor", at_once ? "stopping at once" : "stopping");
    processes_stop(supervisor, at_once);
    elders_stop(supervisor, at_once);
    supervisor_child_ended(supervisor);
}

static void on_signals(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct supervisor *supervisor = CONTAINER_OF(watch, struct supervisor, signals);
    struct signalfd_siginfo signal;
    while (read(watch->fd, &signal, sizeof signal) == sizeof signal) {
        switch (signal.ssi_signo) {
        case SIGCHLD:
            processes_reap(supervisor);
            break;
        case SIGHUP:
            if (supervisor->phase != PHASE_STOPPING)
                reload(supervisor);
            break;
        case SIGUSR1:
            log_reopen();
            logs_reopen(&supervisor->descriptors);
            processes_reopen_logs(supervisor);
            break;
        case SIGUSR2:
            upgrade_begin(supervisor);
            break;
        default:
            stop(supervisor);
        }
    }
}

static int watch_signals(struct supervisor *supervisor)
{
    sigset_t set;
    sigemptyset(&set);
    const int numbers[] = {SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&set, numbers[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    supervisor->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    supervisor->signals.ready = on_signals;
    if (supervisor->signals.fd < 0)
        return ERROR_LIMIT;
    return loop_watch_set(supervisor->loop, &supervisor->signals, EPOLLIN);
}

/* ---- children's news */

void supervisor_child_ready(struct supervisor *supervisor)
{
    if (supervisor->phase != PHASE_STARTING)
        return;
    for (int i = 0; i < CHILDREN; i++)
        if (supervisor->processes[i].state != PROCESS_READY &&
            supervisor->processes[i].state != PROCESS_ABSENT)
            return;
    supervisor->phase = PHASE_RUNNING;
    log_notice("supervisor", "%s node=%s hash=%s workers=%u user=%s",
               supervisor->is_successor ? "took over" : "ready", supervisor->node,
               supervisor->conf->hash, supervisor->workers, supervisor->identity.name);
    notify_send("READY=1");
}

void supervisor_child_failed(struct supervisor *supervisor, const struct process *process)
{
    log_error("supervisor", "%s cannot start: %s", process->name, process->why);
    supervisor->exit_status = 1;
    supervisor->phase = PHASE_STOPPING;
    processes_stop(supervisor, false);
}

void supervisor_child_ended(struct supervisor *supervisor)
{
    if (supervisor->phase == PHASE_STOPPING && processes_are_gone(supervisor) &&
        list_is_empty(&supervisor->elders))
        loop_stop(supervisor->loop);
}

json_t *supervisor_status(const struct supervisor *supervisor)
{
    json_t *reasons = json_array();
    bool is_ready = processes_are_ready(supervisor, reasons);
    json_t *configuration =
        json_pack("{s:s, s:s, s:f, s:s?}", "file", supervisor->options->file, "hash",
                  supervisor->conf->hash, "loaded_at", (double)supervisor->loaded_wall_ns / 1e9,
                  "last_error", supervisor->reload_error[0] ? supervisor->reload_error : NULL);
    return json_pack("{s:s, s:s, s:i, s:s, s:i, s:f, s:b, s:o, s:o, s:o, s:o, s:i, s:i, s:s?}",
                     "node", supervisor->node, "version", supervisor->options->version, "pid",
                     (int)getpid(), "user", supervisor->identity.name, "workers",
                     (int)supervisor->workers, "uptime_s",
                     (double)(clock_now_ns() - supervisor->started_ns) / 1e9, "ready", is_ready,
                     "reasons", reasons, "configuration", configuration, "children",
                     processes_status(supervisor), "elders", elders_status(supervisor), "upgrades",
                     (int)supervisor->upgrade.count, "failed_upgrades",
                     (int)supervisor->upgrade.failures, "upgrade_error",
                     supervisor->upgrade.error[0] ? supervisor->upgrade.error : NULL);
}

/* ---- time */

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct supervisor *supervisor = CONTAINER_OF(timer, struct supervisor, tick);
    processes_check(supervisor);
    loop_timer_start(loop, timer, loop_now_ns(loop) + tick_ns);
}

static void on_watchdog(struct loop *loop, struct loop_timer *timer)
{
    struct supervisor *supervisor = CONTAINER_OF(timer, struct supervisor, watchdog);
    if (processes_give_signs(supervisor))
        notify_send("WATCHDOG=1");
    loop_timer_start(loop, timer, loop_now_ns(loop) + notify_watchdog_ns());
}

/* ---- start and end */

static void raise_limits(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int open_control(struct supervisor *supervisor, struct text *errors)
{
    char name[DESCRIPTOR_NAME_BYTES];
    int fd, result = control_listen(supervisor->run_dir, &fd, errors);
    if (result)
        return result;
    listener_name(LISTENER_CONTROL, NULL, 0, name);
    descriptors_add(&supervisor->descriptors, name, "admin", fd);
    return 0;
}

/* Everything that can be refused. */
static int prepare(struct supervisor *supervisor, struct text *errors)
{
    const struct supervisor_options *options = supervisor->options;
    struct bundle bundle = {0};
    int result = upgrade_open(supervisor, errors);
    if (result)
        return result;
    struct conf *conf = supervisor->upgrade.is_back
                            ? upgrade_conf(supervisor, &bundle, errors)
                            : load(options->file, options->node, true, &bundle, errors);
    if (!conf)
        return ERROR_CONFIG;
    use(supervisor, conf, &bundle);
    const struct conf_node *node = conf->self;
    supervisor->node = memory_text(node->name, strlen(node->name));
    supervisor->run_dir = memory_text(node->run_dir, strlen(node->run_dir));
    supervisor->workers = node->workers ? node->workers : workers_default();
    if (!has_roles(options, node)) {
        text_add_format(errors, "%s: node %s has no role: give it edge, gateway, dns or agent\n",
                        options->file, node->name);
        return ERROR_CONFIG;
    }
    result = identity_find(node->user, &supervisor->identity, errors);
    supervisor->descriptors.owner = &supervisor->identity;
    if (result == 0 && node->history)
        result = folder_make(node->history->folder, &supervisor->identity, errors);
    if (result == 0 && node->gateway && node->gateway->purges)
        result = folder_make(node->gateway->purges->folder, &(struct identity){0}, errors);
    if (result == 0 && node->has_acme)
        result = folder_make(node->acme_folder, &supervisor->identity, errors);
    if (result == 0)
        result = upgrade_take(supervisor, errors);
    if (result == 0 && !supervisor->is_successor)
        result = open_control(supervisor, errors);
    if (result)
        return result;
    return descriptors_open(&supervisor->descriptors, conf, supervisor->workers, errors);
}

static void run(struct supervisor *supervisor)
{
    supervisor->tick.fire = on_tick;
    supervisor->refresh.fire = on_refresh;
    loop_timer_start(supervisor->loop, &supervisor->tick, clock_now_ns() + tick_ns);
    if (notify_watchdog_ns()) {
        supervisor->watchdog.fire = on_watchdog;
        loop_timer_start(supervisor->loop, &supervisor->watchdog, 0);
    }
    processes_follow(supervisor);
    for (int i = 0; i < CHILDREN; i++) /* roles that the new configuration has no more */
        if (supervisor->processes[i].state == PROCESS_ABSENT)
            elders_let_go(supervisor, supervisor->processes[i].name);
    loop_run(supervisor->loop);
}

static void clear(struct supervisor *supervisor)
{
    char path[256];
    if (supervisor->descriptors.count) { /* the control socket is ours */
        control_path(supervisor->run_dir, path, sizeof path);
        unlink(path);
    }
    for (int i = 0; i < CHILDREN; i++) {
        channel_stop(&supervisor->processes[i].channel);
        json_decref(supervisor->processes[i].heartbeat);
    }
    elders_clear(supervisor);
    upgrade_clear(supervisor);
    if (supervisor->signals.events)
        loop_watch_remove(supervisor->loop, &supervisor->signals);
    if (supervisor->signals.fd > 0)
        close(supervisor->signals.fd);
    descriptors_clear(&supervisor->descriptors);
    conf_free(supervisor->conf);
    bundle_clear(&supervisor->bundle);
    bundle_clear(&supervisor->before);
    memory_free(supervisor->node);
    memory_free(supervisor->run_dir);
    loop_free(&supervisor->loop);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor supervisor = {.options = options,
                                    .loop = loop_new(),
                                    .started_ns = clock_now_ns()};
    struct text errors = {0};
    list_init(&supervisor.elders);
    processes_init(&supervisor);
    upgrade_init(&supervisor);
    notify_init();
    counts_start();
#if !defined(__SANITIZE_ADDRESS__) /* whose leak check traces the process */
    prctl(PR_SET_DUMPABLE, 0);     /* it holds the node's private key */
#endif
    raise_limits();
    int result = watch_signals(&supervisor);
    if (result == 0)
        result = prepare(&supervisor, &errors);
    if (errors.length)
        fputs(errors.data, stderr);
    if (errors.length && errors.data[errors.length - 1] != '\n')
        fputc('\n', stderr);
    text_clear(&errors);
    if (result == 0 && log_open_node(supervisor.conf->self, "supervisor")) {
        fprintf(stderr, "causeway: cannot open the log %s: %s\n", supervisor.conf->self->log_path,
                strerror(errno));
        result = ERROR_IO;
    }
    if (result)
        upgrade_return(&supervisor);
    if (result == 0) {
        run(&supervisor);
        log_notice("supervisor", "ended after %llu s",
                   (unsigned long long)((clock_now_ns() - supervisor.started_ns) / ns_per_second));
    }
    log_close();
    metrics_thread_stop();
    clear(&supervisor);
    return result ? 1 : supervisor.exit_status;
}
