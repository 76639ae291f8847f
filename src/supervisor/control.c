/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket: a Unix stream socket of mode 0600. One line of JSON in, one line of JSON out,
 * end. {"verb": "status"} is answered from every child; {"verb": "link"} and a few more are questions that
 * roles answer with data; every other verb goes to them as a command.
 */
#include "supervisor/admin.h"

#include "base/memory.h"
#include "observe/observe.h"
#include "supervisor/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    REQUEST_BYTES = 65536,
    ANSWER_BYTES = 64 << 20,
    CONNECTIONS_LIMIT = 16,
    TIMEOUT_S = 10, /* also the client's */
};

struct control {
    struct admin *admin;
    struct list link; /* admin->controls */
    struct loop_watch watch;
    struct loop_timer timeout;
    struct report *report; /* the question under way */
    struct text input, output;
    size_t sent;
};

static void control_close(struct control *control)
{
    struct loop *loop = child_loop(control->admin->child);
    loop_watch_remove(loop, &control->watch);
    loop_timer_stop(loop, &control->timeout);
    report_forget(&control->report);
    close(control->watch.fd);
    text_clear(&control->input);
    text_clear(&control->output);
    list_remove(&control->link);
    control->admin->control_count--;
    memory_free(control);
}

static void flush(struct control *control)
{
    while (control->sent < control->output.length) {
        ssize_t written = send(control->watch.fd, control->output.data + control->sent,
                               control->output.length - control->sent, MSG_NOSIGNAL);
        if (written < 0 && errno == EAGAIN) {
            if (loop_watch_set(child_loop(control->admin->child), &control->watch, EPOLLOUT))
                control_close(control);
            return;
        }
        if (written <= 0)
            break;
        control->sent += (size_t)written;
    }
    control_close(control);
}

static void answer(struct control *control, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    text_add(&control->output, text ? text : "{}");
    text_add(&control->output, "\n");
    free(text);
    flush(control);
}

static void refuse(struct control *control, const char *why)
{
    answer(control, json_pack("{s:s}", "error", why));
}

static void on_status(void *owner, struct report *report)
{
    struct control *control = owner;
    control->report = NULL;
    answer(control, json_incref(report->status));
}

static void on_command_done(void *owner, struct report *report)
{
    struct control *control = owner;
    control->report = NULL;
    answer(control,
           json_pack("{s:O, s:O}", "answers", report->answers, "missing", report->missing));
}

/* Answered with data. Nothing changes by it, but for purges and orders to origins, which the gateway logs itself. */
static bool is_question(const char *verb)
{
    static const char *const verbs[] = {"explain", "hot",   "latency", "link",
                                        "origin",  "purge", "queue",   "stats"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verb, verbs[i]) == 0)
            return true;
    return false;
}

static void handle(struct control *control, json_t *request)
{
    const char *verb = json_string_value(json_object_get(request, "verb"));
    struct child *child = control->admin->child;
    if (!verb) {
        refuse(control, "a request is a JSON object with a verb");
    } else if (strcmp(verb, "status") == 0) {
        control->report = report_new(child, REPORT_STATUS, NULL, on_status, control);
        if (!control->report)
            refuse(control, "too many questions at once");
    } else {
        bool is_inquiry = is_question(verb);
        if (!is_inquiry)
            log_notice("admin", "command %s", verb);
        control->report = report_new(child, is_inquiry ? REPORT_INQUIRY : REPORT_COMMAND,
                                     json_incref(request), on_command_done, control);
        if (!control->report)
            refuse(control, "too many questions at once");
    }
}

static void on_input(struct control *control)
{
    char buffer[4096];
    ssize_t got = recv(control->watch.fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || control->report) {
        control_close(control);
        return;
    }
    text_add_span(&control->input, span_of(buffer, (size_t)got));
    if (control->input.is_cut) {
        refuse(control, "the request is too long");
        return;
    }
    size_t length = span_find(text_span(&control->input), '\n');
    if (length == control->input.length)
        return;
    json_t *request = json_loadb(control->input.data, length, 0, NULL);
    if (json_is_object(request))
        handle(control, request);
    else
        refuse(control, "a request is one line with a JSON object");
    json_decref(request);
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    struct control *control = CONTAINER_OF(watch, struct control, watch);
    if (events & EPOLLOUT)
        flush(control);
    else
        on_input(control);
}

static void on_timeout(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    control_close(CONTAINER_OF(timer, struct control, timeout));
}

void control_accept(struct admin *admin, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (admin->control_count == CONNECTIONS_LIMIT) {
        close(fd);
        return;
    }
    struct control *control = NEW(struct control);
    struct loop *loop = child_loop(admin->child);
    control->admin = admin;
    control->input.limit = REQUEST_BYTES;
    control->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    control->timeout.fire = on_timeout;
    list_push_back(&admin->controls, &control->link);
    admin->control_count++;
    loop_timer_start(loop, &control->timeout, loop_now_ns(loop) + TIMEOUT_S * 1000000000ull);
    if (loop_watch_set(loop, &control->watch, EPOLLIN))
        control_close(control);
}

void controls_close(struct admin *admin)
{
    LIST_EACH (link, after, &admin->controls)
        control_close(CONTAINER_OF(link, struct control, link));
}

/* ---- the client's side */

static int exchange(int fd, const char *request, struct text *answer_text)
{
    size_t length = strlen(request);
    for (size_t sent = 0; sent < length;) {
        ssize_t written = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        if (written <= 0)
            return ERROR_IO;
        sent += (size_t)written;
    }
    char buffer[16384];
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0)
            return errno == EAGAIN ? ERROR_TIMEOUT : ERROR_IO;
        if (got == 0)
            return answer_text->length ? 0 : ERROR_CLOSED;
        text_add_span(answer_text, span_of(buffer, (size_t)got));
        if (answer_text->is_cut)
            return ERROR_LIMIT;
    }
}

json_t *control_ask(const char *run_dir, const json_t *request, struct text *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = TIMEOUT_S};
    control_path(run_dir, address.sun_path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        text_add_format(why, "%s: %s%s", address.sun_path, strerror(errno),
                        errno == ENOENT || errno == ECONNREFUSED ? " (is the node running?)"
                        : errno == EACCES                        ? " (only its owner may)"
                                                                 : "");
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct text line = {0}, answered = {.limit = ANSWER_BYTES};
    char *text = json_dumps(request, JSON_COMPACT);
    text_add(&line, text ? text : "{}");
    text_add(&line, "\n");
    free(text);
    int result = exchange(fd, line.data, &answered);
    close(fd);
    json_t *body = result == 0 ? json_loadb(answered.data, answered.length, 0, NULL) : NULL;
    if (result)
        text_add_format(why, "%s: %s", address.sun_path, error_text(result));
    else if (!body)
        text_add_format(why, "%s: the answer is no JSON", address.sun_path);
    const char *refusal = json_string_value(json_object_get(body, "error"));
    if (refusal) {
        text_add(why, refusal);
        json_decref(body);
        body = NULL;
    }
    text_clear(&line);
    text_clear(&answered);
    return body;
}
