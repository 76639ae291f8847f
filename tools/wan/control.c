/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands while running, and the counters as JSON.
 */
#include "wan.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int socket_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        fprintf(stderr, "wan: the control path is longer than %zu bytes\n",
                sizeof address->sun_path - 1);
        return ERROR_LIMIT;
    }
    strcpy(address->sun_path, path);
    return 0;
}

int control_open(struct control *control, const char *path)
{
    control->listener = -1;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        control->clients[i].descriptor = -1;
    if (!*path)
        return 0;
    struct sockaddr_un address;
    if (socket_address(path, &address))
        return ERROR_INVALID;
    unlink(path);
    control->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0077);
    bool bound = control->listener >= 0 &&
                 bind(control->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                 listen(control->listener, CONTROL_CLIENTS) == 0;
    umask(before);
    if (!bound) {
        fprintf(stderr, "wan: %s: %s\n", path, strerror(errno));
        return ERROR_IO;
    }
    return 0;
}

void control_close(struct control *control, const char *path)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i].descriptor >= 0)
            close(control->clients[i].descriptor);
    if (control->listener >= 0) {
        close(control->listener);
        unlink(path);
    }
}

unsigned control_poll(const struct control *control, struct pollfd *polled)
{
    unsigned count = 0;
    if (control->listener >= 0)
        polled[count++] = (struct pollfd){.fd = control->listener, .events = POLLIN};
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i].descriptor >= 0)
            polled[count++] =
                (struct pollfd){.fd = control->clients[i].descriptor, .events = POLLIN};
    return count;
}

static void describe_path(const struct path *path, struct text *out)
{
    const struct path_counters *count = &path->count;
    text_add(out, "{");
#define X(name) text_add_format(out, "\"" #name "\":%llu,", (unsigned long long)count->name);
    PATH_COUNTERS(X)
#undef X
    double delivered = count->delivered ? (double)count->delivered : 1;
    text_add_format(out,
                    "\"in_flight\":%zu,\"queue_max_ms\":%.3f,\"late_mean_us\":%.1f,"
                    "\"late_p50_us\":%.0f,\"late_p99_us\":%.0f,\"late_max_us\":%.1f}",
                    path->held.count, (double)count->queue_max_ns / 1e6,
                    (double)count->late_sum_ns / delivered / 1e3,
                    (double)path_lateness(path, .5) / 1e3, (double)path_lateness(path, .99) / 1e3,
                    (double)count->late_max_ns / 1e3);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

void counters_describe(const struct wan *wan, uint64_t now_ns, struct text *out)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    text_add_format(out, "{\"name\":\"%s\",\"elapsed_s\":%.3f,\"cpu_s\":%.3f", wan->options.name,
                    (double)(now_ns - wan->started_ns) / 1e9,
                    seconds(usage.ru_utime) + seconds(usage.ru_stime));
    for (unsigned direction = 0; direction < DIRECTIONS; direction++) {
        text_add_format(out, ",\"%s\":", direction_names[direction]);
        describe_path(&wan->paths[direction], out);
    }
    text_add(out, "}");
}

static void set_down(struct wan *wan, bool is_down, const char *only)
{
    for (unsigned direction = 0; direction < DIRECTIONS; direction++)
        if (!only || strcmp(only, direction_names[direction]) == 0)
            wan->paths[direction].set.is_down = is_down;
}

static void run_command(struct wan *wan, char *line, struct text *answer)
{
    char *save = NULL;
    const char *verb = strtok_r(line, " \t\r", &save);
    if (!verb) {
        text_add(answer, "error: empty command");
    } else if (strcmp(verb, "down") == 0 || strcmp(verb, "up") == 0) {
        set_down(wan, *verb == 'd', strtok_r(NULL, " \t\r", &save));
    } else if (strcmp(verb, "set") == 0) {
        struct text why = {0};
        for (char *word; (word = strtok_r(NULL, " \t\r", &save));) {
            if (setting_apply(wan, word, false, &why)) {
                text_add_format(answer, "error: %s", why.data);
                break;
            }
        }
        text_clear(&why);
    } else if (strcmp(verb, "counters") == 0) {
        counters_describe(wan, clock_now_ns(), answer);
    } else if (strcmp(verb, "reset") == 0) {
        for (unsigned direction = 0; direction < DIRECTIONS; direction++)
            wan->paths[direction].count = (struct path_counters){0};
        wan->started_ns = clock_now_ns();
    } else if (strcmp(verb, "quit") == 0) {
        wan->stopping = true;
    } else {
        text_add(answer, "error: the commands are set, down, up, counters, reset and quit");
    }
    if (!answer->length)
        text_add(answer, "ok");
    text_add(answer, "\n");
}

static void drop_client(struct control *control, unsigned client)
{
    close(control->clients[client].descriptor);
    control->clients[client].descriptor = -1;
    control->clients[client].length = 0;
}

/* Runs the whole lines that a client has sent. False when it is gone, or sends a line that is too long. */
static bool serve_client(struct control *control, unsigned client, struct wan *wan)
{
    char *line = control->clients[client].line;
    size_t *length = &control->clients[client].length;
    ssize_t got = recv(control->clients[client].descriptor, line + *length,
                       sizeof control->clients[client].line - 1 - *length, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    *length += (size_t)got;
    line[*length] = 0;
    char *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        struct text answer = {0};
        run_command(wan, line, &answer);
        ssize_t sent = send(control->clients[client].descriptor, answer.data, answer.length,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        text_clear(&answer);
        if (sent < 0)
            return false;
        *length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, *length + 1);
    }
    return got > 0 && *length < sizeof control->clients[client].line - 1;
}

void control_serve(struct control *control, struct wan *wan)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        if (control->clients[i].descriptor >= 0) {
            if (!serve_client(control, i, wan))
                drop_client(control, i);
        } else if (control->listener >= 0) {
            control->clients[i].descriptor = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
        }
    }
}

int control_send(const char *path, int count, char *const words[])
{
    struct sockaddr_un address;
    if (socket_address(path, &address))
        return 2;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "wan: %s: %s\n", path, strerror(errno));
        return 1;
    }
    struct text command = {0};
    for (int i = 0; i < count; i++)
        text_add_format(&command, "%s%s", i ? " " : "", words[i]);
    text_add(&command, "\n");
    ssize_t sent = send(descriptor, command.data, command.length, MSG_NOSIGNAL);
    int status = sent == (ssize_t)command.length ? 0 : 1;
    text_clear(&command);
    char answer[4096];
    ssize_t got;
    bool is_first = true;
    while (!status && (got = recv(descriptor, answer, sizeof answer, 0)) > 0) {
        fwrite(answer, 1, (size_t)got, stdout);
        if (is_first && strncmp(answer, "error", (size_t)got < 5 ? (size_t)got : 5) == 0)
            status = 1;
        is_first = false;
        if (answer[got - 1] == '\n')
            break;
    }
    close(descriptor);
    return status;
}
