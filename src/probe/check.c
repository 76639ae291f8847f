/* SPDX-License-Identifier: Apache-2.0
 *
 * One check from its beginning to its result: connect, or send the DNS query; then what its kind says; the time limit over all of
 * it. Connections end with a reset: one packet, and no state left on either end.
 */
#include "probe/private.h"

#include "base/memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static const struct {
    enum health_outcome outcome;
    const char *text;
} causes[CHECK_CAUSES] = {
#define X(name, outcome, text) {(outcome), (text)},
    CHECK_CAUSE_LIST(X)
#undef X
};

const char *check_cause_text(enum check_cause cause)
{
    return cause < CHECK_CAUSES ? causes[cause].text : "unknown";
}

enum health_outcome check_cause_outcome(enum check_cause cause)
{
    INVARIANT(cause < CHECK_CAUSES);
    return causes[cause].outcome;
}

/* ---- steps */

void check_wait(struct check *check, uint32_t events)
{
    if (check->watch.events != events && loop_watch_set(check->loop, &check->watch, events) < 0)
        check_finish(check, CAUSE_LIMIT);
}

void check_set_step(struct check *check, enum check_step step, uint32_t events)
{
    check->step = step;
    check_wait(check, events);
}

static void close_socket(struct check *check)
{
    if (check->watch.fd < 0)
        return;
    check_tls_close(check);
    if (check->question->kind != CHECK_DNS)
        socket_set_reset_on_close(check->watch.fd);
    loop_watch_close(check->loop, &check->watch);
    check->watch.fd = -1;
}

void check_finish(struct check *check, enum check_cause cause)
{
    if (check->step == STEP_DONE)
        return;
    uint64_t took_us = (clock_now_ns() - check->began_ns) / 1000 + 1;
    check->step = STEP_DONE;
    check->result.cause = cause;
    check->result.took_us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    close_socket(check);
    loop_timer_stop(check->loop, &check->timeout);
    loop_task_queue(check->loop, &check->tell);
}

static void free_check(struct check *check)
{
    close_socket(check);
    loop_timer_stop(check->loop, &check->timeout);
    loop_task_cancel(check->loop, &check->tell);
    check_http_clear(check);
    memory_free(check);
}

static void on_tell(struct loop *loop, struct loop_task *task)
{
    (void)loop;
    struct check *check = CONTAINER_OF(task, struct check, tell);
    struct check_result result = check->result;
    void (*done)(void *, const struct check_result *) = check->done;
    void *owner = check->owner;
    free_check(check);
    done(owner, &result);
}

static void on_timeout(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    check_finish(CONTAINER_OF(timer, struct check, timeout), CAUSE_TIMEOUT);
}

/* ---- connecting */

/* Whether it speaks of the target or of this node is the difference. */
static enum check_cause cause_of_errno(int code)
{
    switch (code) {
    case ECONNREFUSED:
        return CAUSE_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return CAUSE_RESET;
    case ETIMEDOUT:
        return CAUSE_TIMEOUT;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return CAUSE_UNREACHABLE;
    case ENETUNREACH:
    case ENETDOWN:
    case EACCES:
    case EPERM:
    case EINVAL:
    case EAFNOSUPPORT:
        return CAUSE_NO_ROUTE;
    default:
        return CAUSE_LIMIT;
    }
}

/* As the kernel measured it: how late this loop comes round does not count. */
static uint32_t handshake_us(const struct check *check)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(check->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_rtt)
        return info.tcpi_rtt;
    return (uint32_t)((clock_now_ns() - check->began_ns) / 1000) + 1;
}

static void secure(struct check *check)
{
    uint32_t events;
    int result = check_tls_handshake(check, &events);
    if (result == ERROR_AGAIN) {
        check_wait(check, events);
        return;
    }
    enum check_cause cause = result < 0 ? check_tls_failure(check) : check_tls_judge(check);
    if (cause != CAUSE_NONE)
        check_finish(check, cause);
    else
        check_http_begin(check);
}

static void on_connected(struct check *check)
{
    int error = socket_error(check->watch.fd);
    if (error) {
        check_finish(check, cause_of_errno(error));
        return;
    }
    check->result.connect_us = handshake_us(check);
    struct span preface = check->question->preface;
    if (preface.length && send(check->watch.fd, preface.data, preface.length, MSG_NOSIGNAL) !=
                              (ssize_t)preface.length) {
        check_finish(check, CAUSE_RESET); /* nothing was on its way that could fill the socket */
        return;
    }
    switch (check->question->kind) {
    case CHECK_TCP:
        check_finish(check, CAUSE_NONE);
        break;
    case CHECK_HTTP:
        check_http_begin(check);
        break;
    case CHECK_HTTPS:
        if (check_tls_open(check) < 0) {
            check_finish(check, CAUSE_LIMIT);
            break;
        }
        check->step = STEP_SECURING;
        secure(check);
        break;
    case CHECK_DNS:
    case CHECK_KINDS:
        break;
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    (void)events;
    struct check *check = CONTAINER_OF(watch, struct check, watch);
    switch (check->step) {
    case STEP_CONNECTING:
        on_connected(check);
        break;
    case STEP_SECURING:
        secure(check);
        break;
    case STEP_SENDING:
    case STEP_READING:
        if (check->question->kind == CHECK_DNS)
            check_dns_ready(check);
        else
            check_http_ready(check);
        break;
    case STEP_DONE:
        break;
    }
}

static void begin(struct check *check)
{
    bool is_dns = check->question->kind == CHECK_DNS;
    int fd = -1;
    errno = 0;
    const char *path = check->question->socket;
    int result = is_dns ? check_dns_open(check, &fd)
                 : path ? socket_connect_unix(path, &fd)
                        : socket_connect_tcp(&check->address, &fd);
    if (result < 0) {
        bool is_refused = path && result == ERROR_UNREACHABLE;
        check_finish(check, is_refused ? CAUSE_REFUSED : cause_of_errno(errno));
        return;
    }
    check->watch.fd = fd;
    check_set_step(check, is_dns ? STEP_READING : STEP_CONNECTING, is_dns ? EPOLLIN : EPOLLOUT);
}

struct check *check_start(struct loop *loop, const struct check_question *question,
                          const struct address *address, uint64_t timeout_ns, struct random *random,
                          void (*done)(void *owner, const struct check_result *result), void *owner)
{
    struct check *check = NEW(struct check);
    check->loop = loop;
    check->question = question;
    check->address = *address;
    check->random = random;
    check->watch.fd = -1;
    check->watch.ready = on_ready;
    check->timeout.fire = on_timeout;
    check->tell.run = on_tell;
    check->began_ns = clock_now_ns();
    check->done = done;
    check->owner = owner;
    loop_timer_start(loop, &check->timeout, check->began_ns + timeout_ns);
    begin(check);
    return check;
}

void check_cancel(struct check **cancelled)
{
    struct check *check = *cancelled;
    *cancelled = NULL;
    if (check)
        free_check(check);
}
