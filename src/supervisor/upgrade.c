/* SPDX-License-Identifier: Apache-2.0
 *
 * What crosses: {"version": 1, "node": ..., "run_dir": ..., "workers": ..., "started_ns": ..., "descriptors": [{"name", "child",
 * "fd"}], "children": [{"name", "pid", "fd", "generation", "starts", "is_elder"}], "program": fd of the file that runs now, "upgrades", "failures": how many there were}.
 */
#include "supervisor/upgrade.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "supervisor/notify.h"
#include "supervisor/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    HANDOVER_VERSION = 1,
    LEAVE_S = 6, /* children take 5 at most */
};
static const char variable[] = "CAUSEWAY_HANDOVER"; /* "FD", "FD back" */

/* ---- this program's path */

/* The first word it was started with: a link that leads to another version by now is followed anew. A word without a slash was
 * looked up along PATH: there the kernel knows. */
static char *find_program(void)
{
    char words[PATH_MAX] = "", path[2 * PATH_MAX] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t got = read(fd, words, sizeof words - 1);
        words[got > 0 ? got : 0] = 0;
        close(fd);
    }
    if (words[0] == '/') {
        snprintf(path, sizeof path, "%s", words);
    } else if (strchr(words, '/') && getcwd(path, PATH_MAX)) {
        size_t length = strlen(path);
        snprintf(path + length, sizeof path - length, "/%s", words);
    } else {
        ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
        path[length > 0 ? length : 0] = 0;
    }
    return memory_text(path, strlen(path));
}

void upgrade_init(struct supervisor *supervisor)
{
    supervisor->upgrade = (struct upgrade){
        .program = find_program(), .state = -1, .former = -1, .bundle = -1, .memory = -1};
}

void upgrade_clear(struct supervisor *supervisor)
{
    struct upgrade *upgrade = &supervisor->upgrade;
    memory_free(upgrade->program);
    json_decref(upgrade->handed);
    const int fds[] = {upgrade->state, upgrade->former, upgrade->bundle, upgrade->memory};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

__attribute__((format(printf, 2, 3))) static void fail(struct supervisor *supervisor,
                                                       const char *format, ...)
{
    struct upgrade *upgrade = &supervisor->upgrade;
    va_list args;
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started above
    vsnprintf(upgrade->error, sizeof upgrade->error, format, args);
    va_end(args);
    upgrade->failures++;
    log_error("supervisor", "no upgrade: %s", upgrade->error);
}

/* ---- giving */

static void keep_on_exec(int fd, bool keep)
{
    fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

/* What the other program gets stays open when it is executed, and only then. */
static void keep_all(const struct supervisor *supervisor, bool keep)
{
    for (size_t i = 0; i < supervisor->descriptors.count; i++)
        keep_on_exec(supervisor->descriptors.items[i].fd, keep);
    for (int i = 0; i < CHILDREN; i++)
        if (supervisor->processes[i].channel.loop)
            keep_on_exec(supervisor->processes[i].channel.watch.fd, keep);
    LIST_EACH (item, after, &supervisor->elders) {
        const struct elder *elder = CONTAINER_OF(item, struct elder, link);
        if (elder->channel.loop)
            keep_on_exec(elder->channel.watch.fd, keep);
    }
}

static json_t *describe_child(const char *name, pid_t pid, const struct channel *channel,
                              uint8_t generation, uint32_t starts, bool is_elder)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:b}", "name", name, "pid", (int)pid, "fd",
                     channel->loop ? channel->watch.fd : -1, "generation", (int)generation,
                     "starts", (int)starts, "is_elder", is_elder);
}

/* What goes along besides descriptors and children. */
struct parcel {
    int state, program, bundle;
};

static json_t *describe(const struct supervisor *supervisor, const struct parcel *parcel)
{
    json_t *descriptors = json_array(), *children = json_array();
    for (size_t i = 0; i < supervisor->descriptors.count; i++) {
        const struct descriptor *descriptor = &supervisor->descriptors.items[i];
        json_array_append_new(descriptors,
                              json_pack("{s:s, s:s?, s:i}", "name", descriptor->name, "child",
                                        descriptor->child, "fd", descriptor->fd));
    }
    for (int i = 0; i < CHILDREN; i++) {
        const struct process *process = &supervisor->processes[i];
        if (process->starts)
            json_array_append_new(children,
                                  describe_child(process->name, process->pid, &process->channel,
                                                 process->generation, process->starts, false));
    }
    LIST_EACH (item, after, &supervisor->elders) {
        const struct elder *elder = CONTAINER_OF(item, struct elder, link);
        json_array_append_new(children, describe_child(elder->name, elder->pid, &elder->channel,
                                                       elder->generation, 0, true));
    }
    const struct bundle *bundle = &supervisor->bundle;
    return json_pack("{s:i, s:s, s:s, s:i, s:I, s:o, s:o, s:i, s:i, s:i, s:i, s:i}", "version",
                     HANDOVER_VERSION, "node", supervisor->node, "run_dir", supervisor->run_dir,
                     "workers", (int)supervisor->workers, "started_ns",
                     (json_int_t)supervisor->started_ns, "descriptors", descriptors, "children",
                     children, "program", parcel->program, "bundle", parcel->bundle, "memory",
                     bundle->has_memory ? bundle->memory : -1, "upgrades",
                     (int)supervisor->upgrade.count, "failures", (int)supervisor->upgrade.failures);
}

static void parcel_clear(const struct parcel *parcel)
{
    const int fds[] = {parcel->state, parcel->program, parcel->bundle};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The configuration goes along for the way back: the file may have changed. */
static int parcel_fill(const struct supervisor *supervisor, struct parcel *parcel)
{
    struct text bytes = {0};
    *parcel = (struct parcel){.state = -1, .bundle = -1};
    parcel->program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    bundle_write(&supervisor->bundle, BUNDLE_WHOLE, &bytes);
    int result = parcel->program < 0
                     ? ERROR_LIMIT
                     : bulk_new(text_span(&bytes), "configuration", &parcel->bundle);
    if (bytes.data)
        explicit_bzero(bytes.data, bytes.capacity);
    text_clear(&bytes);
    if (result < 0)
        return result;
    json_t *all = describe(supervisor, parcel);
    char *text = json_dumps(all, JSON_COMPACT);
    result = text ? bulk_new(span_text(text), "handover", &parcel->state) : ERROR_LIMIT;
    free(text);
    json_decref(all);
    return result;
}

static void keep_parcel(const struct supervisor *supervisor, const struct parcel *parcel, bool keep)
{
    keep_on_exec(parcel->state, keep);
    keep_on_exec(parcel->program, keep);
    keep_on_exec(parcel->bundle, keep);
    if (supervisor->bundle.has_memory)
        keep_on_exec(supervisor->bundle.memory, keep);
    keep_all(supervisor, keep);
}

/* Comes back only where it fails, with errno. `program` NULL: the file that goes along. */
static void execute(struct supervisor *supervisor, const char *program, const struct parcel *parcel,
                    const char *mark)
{
    char value[32], *node = supervisor->node;
    char *words[] = {supervisor->upgrade.program,
                     "run",
                     "-c",
                     (char *)(uintptr_t)supervisor->options->file,
                     "--node",
                     node ? node : (char *)(uintptr_t)supervisor->options->node,
                     NULL};
    snprintf(value, sizeof value, "%d%s", parcel->state, mark);
    setenv(variable, value, 1);
    notify_export();
    keep_parcel(supervisor, parcel, true);
    if (program)
        execv(program, words);
    else
        fexecve(parcel->program, words, environ);
    int saved = errno;
    keep_parcel(supervisor, parcel, false);
    unsetenv(variable);
    notify_init();
    errno = saved;
}

static void execute_other(struct supervisor *supervisor)
{
    struct parcel parcel;
    const char *program = supervisor->upgrade.program;
    if (parcel_fill(supervisor, &parcel) < 0) {
        fail(supervisor, "no descriptor is left");
    } else {
        log_notice("supervisor", "executing %s", program);
        log_close();
        execute(supervisor, program, &parcel, "");
        int saved = errno;
        if (log_open_node(supervisor->conf->self, "supervisor"))
            fprintf(stderr, "causeway: cannot open the log again: %s\n", strerror(errno));
        fail(supervisor, "%s: %s", program, strerror(saved));
    }
    parcel_clear(&parcel);
}

/* ---- the check before */

static _Noreturn void become_check(const struct supervisor *supervisor)
{
    char *words[] = {supervisor->upgrade.program,
                     "run",
                     "--check",
                     "-c",
                     (char *)(uintptr_t)supervisor->options->file,
                     "--node",
                     supervisor->node,
                     NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(supervisor->upgrade.program, words);
    _exit(127);
}

void upgrade_begin(struct supervisor *supervisor)
{
    struct upgrade *upgrade = &supervisor->upgrade;
    bool is_under_way = upgrade->check || loop_timer_is_running(&upgrade->patience);
    if (is_under_way || supervisor->phase != PHASE_RUNNING) {
        fail(supervisor, is_under_way ? "one is under way" : "the node starts or ends");
        return;
    }
    if (elders_are_many(supervisor)) {
        fail(supervisor, "processes of the last ones still finish their work");
        return;
    }
    log_notice("supervisor", "upgrade: asking %s whether it would start", upgrade->program);
    pid_t pid = fork();
    if (pid == 0)
        become_check(supervisor);
    if (pid < 0)
        fail(supervisor, "no process is left");
    else
        upgrade->check = pid;
}

/* ---- whoever would notice */

static void on_patience(struct loop *loop, struct loop_timer *timer)
{
    struct upgrade *upgrade = CONTAINER_OF(timer, struct upgrade, patience);
    struct supervisor *supervisor = CONTAINER_OF(upgrade, struct supervisor, upgrade);
    loop_timer_stop(loop, timer);
    if (supervisor->phase == PHASE_RUNNING)
        execute_other(supervisor);
}

void upgrade_go_on(struct supervisor *supervisor)
{
    if (loop_timer_is_running(&supervisor->upgrade.patience))
        on_patience(supervisor->loop, &supervisor->upgrade.patience);
}

/* The links of a gateway are made anew: its edges are told, and what is under way ends first. */
static void take_leave(struct supervisor *supervisor)
{
    struct loop_timer *patience = &supervisor->upgrade.patience;
    patience->fire = on_patience;
    if (processes_leave(supervisor))
        loop_timer_start(supervisor->loop, patience, clock_now_ns() + LEAVE_S * 1000000000ull);
    else
        execute_other(supervisor);
}

bool upgrade_reap(struct supervisor *supervisor, pid_t pid, int status)
{
    struct upgrade *upgrade = &supervisor->upgrade;
    if (!upgrade->check || pid != upgrade->check)
        return false;
    upgrade->check = 0;
    if (supervisor->phase != PHASE_RUNNING)
        return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        take_leave(supervisor);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        fail(supervisor, "%s cannot be executed", upgrade->program);
    else
        fail(supervisor, "%s would not start with %s; it said why on standard error",
             upgrade->program, supervisor->options->file);
    return true;
}

/* ---- taking */

static int number_of(const json_t *object, const char *name)
{
    return (int)json_integer_value(json_object_get(object, name));
}

static const char *string_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool is_open(int fd)
{
    return fd > STDERR_FILENO && fcntl(fd, F_GETFD) >= 0;
}

static int take_descriptor(struct supervisor *supervisor, const json_t *item)
{
    const char *name = string_of(item, "name"), *child = string_of(item, "child");
    int fd = number_of(item, "fd");
    const char *known = child ? process_name(child) : NULL;
    if (!name || !is_open(fd))
        return ERROR_INVALID;
    keep_on_exec(fd, false);
    if (child && !known)
        close(fd); /* this program has no such child */
    else
        descriptors_add(&supervisor->descriptors, name, known, fd);
    return 0;
}

static int take_child(struct supervisor *supervisor, const json_t *item)
{
    const char *name = string_of(item, "name");
    int fd = number_of(item, "fd"), pid = number_of(item, "pid");
    uint8_t generation = (uint8_t)number_of(item, "generation");
    const char *known = name ? process_name(name) : NULL;
    if (!known)
        return ERROR_INVALID;
    if (!json_is_true(json_object_get(item, "is_elder")))
        processes_go_on(supervisor, known, (uint32_t)number_of(item, "starts"), generation);
    if (pid <= 0)
        return 0;
    if (is_open(fd))
        keep_on_exec(fd, false);
    elders_add(supervisor, known, pid, generation, is_open(fd) ? fd : -1);
    return 0;
}

static int take_all(struct supervisor *supervisor, const json_t *all, struct text *why)
{
    const char *node = string_of(all, "node"), *run_dir = string_of(all, "run_dir");
    size_t index;
    json_t *item;
    if (number_of(all, "version") != HANDOVER_VERSION || !node || !run_dir) {
        text_add(why, "what the program before hands over is of another version\n");
        return ERROR_UNSUPPORTED;
    }
    if (strcmp(node, supervisor->node) != 0 || strcmp(run_dir, supervisor->run_dir) != 0) {
        text_add(why, "the node's name or run_dir changed: that needs a restart\n");
        return ERROR_UNSUPPORTED;
    }
    struct upgrade *upgrade = &supervisor->upgrade;
    upgrade->count = (uint32_t)number_of(all, "upgrades") + !upgrade->is_back;
    upgrade->failures = (uint32_t)number_of(all, "failures") + upgrade->is_back;
    snprintf(upgrade->error, sizeof upgrade->error, "%s",
             upgrade->is_back ? "the other program could not take over" : "");
    supervisor->workers = (uint32_t)number_of(all, "workers");
    supervisor->started_ns = (uint64_t)json_integer_value(json_object_get(all, "started_ns"));
    json_array_foreach(json_object_get(all, "descriptors"), index, item)
    {
        if (take_descriptor(supervisor, item) < 0)
            return ERROR_INVALID;
    }
    json_array_foreach(json_object_get(all, "children"), index, item)
    {
        if (take_child(supervisor, item) < 0)
            return ERROR_INVALID;
    }
    return 0;
}

static int take_fd(const json_t *all, const char *name)
{
    int fd = number_of(all, name);
    if (!is_open(fd))
        return -1;
    keep_on_exec(fd, false);
    return fd;
}

int upgrade_open(struct supervisor *supervisor, struct text *why)
{
    struct upgrade *upgrade = &supervisor->upgrade;
    const char *value = getenv(variable);
    struct text content = {.limit = CHANNEL_BULK_BYTES};
    if (!value)
        return 0;
    upgrade->is_back = strstr(value, " back") != NULL;
    upgrade->state = (int)strtol(value, NULL, 10);
    unsetenv(variable);
    if (is_open(upgrade->state) && bulk_read(upgrade->state, &content) == 0)
        upgrade->handed = json_loadb(content.data, content.length, 0, NULL);
    text_clear(&content);
    if (!upgrade->handed) {
        upgrade->state = -1;
        text_add(why, "nothing was handed over\n");
        return ERROR_INVALID;
    }
    keep_on_exec(upgrade->state, false);
    upgrade->former = take_fd(upgrade->handed, "program");
    upgrade->bundle = take_fd(upgrade->handed, "bundle");
    upgrade->memory = take_fd(upgrade->handed, "memory");
    return 0;
}

struct conf *upgrade_conf(struct supervisor *supervisor, struct bundle *bundle, struct text *errors)
{
    const struct upgrade *upgrade = &supervisor->upgrade;
    struct text bytes = {.limit = CHANNEL_BULK_BYTES};
    struct conf *conf = NULL;
    if (bulk_read(upgrade->bundle, &bytes) == 0 &&
        bundle_parse(bundle, text_span(&bytes), upgrade->memory) == 0) {
        struct conf_reader reader = bundle_reader(bundle, true);
        conf = conf_load(bundle->files[0].path, text_span(&bundle->files[0].content),
                         supervisor->options->node, &reader, errors);
    }
    if (bytes.data)
        explicit_bzero(bytes.data, bytes.capacity);
    text_clear(&bytes);
    return conf;
}

int upgrade_take(struct supervisor *supervisor, struct text *why)
{
    const struct upgrade *upgrade = &supervisor->upgrade;
    if (!upgrade->handed)
        return 0;
    int result = take_all(supervisor, upgrade->handed, why);
    if (result < 0 && !why->length)
        text_add(why, "what the program before hands over is malformed\n");
    supervisor->is_successor = result == 0;
    return result;
}

void upgrade_return(struct supervisor *supervisor)
{
    const struct upgrade *upgrade = &supervisor->upgrade;
    const struct parcel parcel = {upgrade->state, upgrade->former, upgrade->bundle};
    if (!upgrade->handed || upgrade->is_back || upgrade->former < 0 || upgrade->bundle < 0)
        return;
    fputs("causeway: the upgrade fails, the program before goes on\n", stderr);
    if (upgrade->memory >= 0)
        keep_on_exec(upgrade->memory, true);
    execute(supervisor, NULL, &parcel, " back");
}
