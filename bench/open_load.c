/* SPDX-License-Identifier: Apache-2.0
 *
 * Visitors at a steady rate, whether or not the server keeps up: each comes at a moment of its own (Poisson), asks once over a kept or new
 * connection, and leaves when its patience ends. Time counts from the moment when it wanted to come. Of each group one line of JSON: what
 * became of those who came in SECONDS behind WARM_SECONDS, and how many good answers came in that time.
 *
 *   open_load ADDRESS PORT HOST WARM_SECONDS SECONDS PATIENCE_MS SEED NAME:REQUESTS_PER_S:PATH ...
 *
 * Groups of the same name are counted as one.
 */
#include "base/address.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "loop/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { GROUPS_LIMIT = 16, CONNECTIONS_LIMIT = 8000, ANSWER_BYTES = 16384, NAME_BYTES = 32 };

struct tally {
    char name[NAME_BYTES];
    uint64_t asked, good, refused, wrong, broken, left, crowded;
    uint64_t good_meanwhile; /* whenever they were asked */
    uint64_t room;
    double *ms; /* of the good */
};

struct group {
    struct tally *tally;
    double rate_per_ns;
    char request[512];
    size_t length;
};

struct visit {
    struct loop_watch watch;
    struct loop_timer patience;
    struct list link; /* among the idle */
    struct tally *tally;
    const struct group *group;
    uint64_t came_ns;
    bool is_sent, is_kept; /* has had an answer before */
    size_t length;
    char answer[ANSWER_BYTES];
};

static struct loop *loop;
static struct address server;
static struct random randomness;
static struct tally tallies[GROUPS_LIMIT];
static struct group groups[GROUPS_LIMIT];
static size_t tally_count, group_count;
static struct list idle = {&idle, &idle};
static struct loop_timer arrivals;
static double rate_per_ns; /* of all groups */
static uint64_t due_ns;    /* who comes next */
static uint64_t connections, under_way, patience_ns, warm_until_ns, end_ns;

static void free_visit(struct visit *visit)
{
    loop_timer_stop(loop, &visit->patience);
    loop_watch_close(loop, &visit->watch);
    list_remove(&visit->link);
    connections--;
    memory_free(visit);
}

static void end_visit(struct visit *visit)
{
    visit->tally = NULL;
    loop_timer_stop(loop, &visit->patience);
    if (--under_way == 0 && clock_now_ns() >= end_ns)
        loop_stop(loop);
}

static bool is_counted(uint64_t came_ns)
{
    return came_ns >= warm_until_ns;
}

static void fail(struct visit *visit, uint64_t *counter)
{
    *counter += is_counted(visit->came_ns);
    end_visit(visit);
    free_visit(visit);
}

static void count_good(struct tally *tally, double ms)
{
    if (tally->good == tally->room) {
        tally->room = tally->room ? 2 * tally->room : 1024;
        tally->ms = memory_resize(tally->ms, tally->room, sizeof *tally->ms);
    }
    tally->ms[tally->good++] = ms;
}

/* Bytes of the answer when it is whole; 0: not yet. */
static size_t whole(const struct visit *visit)
{
    const char *end = memmem(visit->answer, visit->length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - visit->answer) + 4, body = 0;
    for (const char *at = visit->answer; at < end; at = strchr(at, '\n') + 1)
        if (strncasecmp(at, "content-length:", 15) == 0)
            body = (size_t)atol(at + 15);
    return visit->length >= head + body ? head + body : 0;
}

static bool wants_close(const struct visit *visit)
{
    return strcasestr(visit->answer, "\r\nconnection: close\r\n") != NULL;
}

static void finish(struct visit *visit)
{
    struct tally *tally = visit->tally;
    int status = visit->length > 12 ? atoi(visit->answer + 9) : 0;
    uint64_t now_ns = clock_now_ns();
    if (status == 200 && now_ns >= warm_until_ns && now_ns < end_ns)
        tally->good_meanwhile++;
    if (!is_counted(visit->came_ns))
        ;
    else if (status == 200)
        count_good(tally, (double)(now_ns - visit->came_ns) / 1e6);
    else if (status == 503)
        tally->refused++;
    else
        tally->wrong++;
    end_visit(visit);
    visit->is_kept = true;
    if (wants_close(visit))
        free_visit(visit);
    else
        list_push_front(&idle, &visit->link);
}

static void ask(struct visit *visit)
{
    visit->length = 0;
    visit->is_sent = true;
    ssize_t sent = send(visit->watch.fd, visit->group->request, visit->group->length, MSG_NOSIGNAL);
    if (sent != (ssize_t)visit->group->length || loop_watch_set(loop, &visit->watch, EPOLLIN) < 0)
        fail(visit, &visit->tally->broken);
}

static void start(const struct group *group, uint64_t came_ns);

/* A kept connection that ended before a byte of the answer: a browser asks again. */
static void lost(struct visit *visit)
{
    if (!visit->is_kept || visit->length) {
        fail(visit, &visit->tally->broken);
        return;
    }
    const struct group *group = visit->group;
    uint64_t came_ns = visit->came_ns;
    visit->tally->asked -= is_counted(came_ns);
    start(group, came_ns);
    end_visit(visit);
    free_visit(visit);
}

static void on_ready(struct loop *of, struct loop_watch *watch, uint32_t events)
{
    struct visit *visit = CONTAINER_OF(watch, struct visit, watch);
    (void)of;
    if (visit->tally && !visit->is_sent) {
        if (socket_error(watch->fd))
            fail(visit, &visit->tally->broken);
        else if (events & EPOLLOUT)
            ask(visit);
        return;
    }
    ssize_t got =
        recv(watch->fd, visit->answer + visit->length, sizeof visit->answer - 1 - visit->length, 0);
    if (!visit->tally) {
        free_visit(visit); /* an idle one that the server closes */
        return;
    }
    if (got <= 0) {
        lost(visit);
        return;
    }
    visit->length += (size_t)got;
    visit->answer[visit->length] = 0;
    if (whole(visit))
        finish(visit);
}

static void out_of_patience(struct loop *of, struct loop_timer *timer)
{
    struct visit *visit = CONTAINER_OF(timer, struct visit, patience);
    (void)of;
    fail(visit, &visit->tally->left);
}

static struct visit *connect_anew(void)
{
    int fd;
    if (connections == CONNECTIONS_LIMIT || socket_connect_tcp(&server, &fd) < 0)
        return NULL;
    struct visit *visit = NEW(struct visit);
    connections++;
    socket_set_nodelay(fd);
    visit->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    visit->patience.fire = out_of_patience;
    list_init(&visit->link);
    return visit;
}

static void start(const struct group *group, uint64_t came_ns)
{
    struct list *kept = list_pop_front(&idle);
    struct visit *visit = kept ? CONTAINER_OF(kept, struct visit, link) : connect_anew();
    group->tally->asked += is_counted(came_ns);
    if (!visit) {
        group->tally->crowded += is_counted(came_ns);
        return;
    }
    under_way++;
    visit->tally = group->tally;
    visit->group = group;
    visit->came_ns = came_ns;
    loop_timer_start(loop, &visit->patience, came_ns + patience_ns);
    if (kept) {
        ask(visit);
        return;
    }
    visit->is_sent = false;
    if (loop_watch_set(loop, &visit->watch, EPOLLOUT) < 0)
        fail(visit, &group->tally->broken);
}

static const struct group *any_group(void)
{
    double at = random_unit(&randomness) * rate_per_ns;
    size_t i = 0;
    while (i + 1 < group_count && at >= groups[i].rate_per_ns)
        at -= groups[i++].rate_per_ns;
    return &groups[i];
}

/* One stream of arrivals for all: who comes late by a turn of this loop must not do so group by group. */
static void come(struct loop *of, struct loop_timer *timer)
{
    while (due_ns <= clock_now_ns() && due_ns < end_ns) {
        start(any_group(), due_ns);
        due_ns += (uint64_t)(-log(1 - random_unit(&randomness)) / rate_per_ns);
    }
    if (due_ns < end_ns)
        loop_timer_start(of, timer, due_ns);
}

static void over(struct loop *of, struct loop_timer *timer)
{
    (void)timer;
    if (under_way == 0)
        loop_stop(of);
}

static struct tally *tally_of(const char *name)
{
    for (size_t i = 0; i < tally_count; i++)
        if (strcmp(tallies[i].name, name) == 0)
            return &tallies[i];
    snprintf(tallies[tally_count].name, sizeof tallies->name, "%s", name);
    return &tallies[tally_count++];
}

static void add_group(const char *text, const char *host)
{
    struct group *group = &groups[group_count];
    char name[NAME_BYTES], path[256];
    double rate;
    if (group_count++ == GROUPS_LIMIT ||
        sscanf(text, "%31[^:]:%lf:%255s", name, &rate, path) != 3 || !(rate > 0)) {
        fprintf(stderr, "open_load: %s is no NAME:REQUESTS_PER_S:PATH\n", text);
        exit(2);
    }
    group->tally = tally_of(name);
    group->rate_per_ns = rate / 1e9;
    rate_per_ns += group->rate_per_ns;
    group->length = (size_t)snprintf(group->request, sizeof group->request,
                                     "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host);
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print(struct tally *tally, double seconds)
{
    qsort(tally->ms, tally->good, sizeof *tally->ms, compare);
    double p50 = tally->good ? tally->ms[tally->good / 2] : 0;
    double p99 = tally->good ? tally->ms[tally->good * 99 / 100] : 0;
    printf("{\"name\": \"%s\", \"asked\": %lu, \"good\": %lu, \"refused\": %lu, \"wrong\": %lu, "
           "\"broken\": %lu, "
           "\"left\": %lu, \"crowded\": %lu, \"good_per_s\": %.1f, \"p50_ms\": %.1f, \"p99_ms\": "
           "%.1f}\n",
           tally->name, (unsigned long)tally->asked, (unsigned long)tally->good,
           (unsigned long)tally->refused, (unsigned long)tally->wrong, (unsigned long)tally->broken,
           (unsigned long)tally->left, (unsigned long)tally->crowded,
           (double)tally->good_meanwhile / seconds, p50, p99);
}

int main(int count, char **words)
{
    if (count < 9 || address_parse(span_text(words[1]), &server) < 0) {
        fprintf(stderr, "usage: open_load ADDRESS PORT HOST WARM_SECONDS SECONDS PATIENCE_MS SEED "
                        "NAME:REQUESTS_PER_S:PATH ...\n");
        return 2;
    }
    server.port = (uint16_t)atoi(words[2]);
    double seconds = atof(words[5]);
    patience_ns = (uint64_t)atol(words[6]) * 1000000;
    random_seed(&randomness, (uint64_t)atol(words[7]));
    for (int i = 8; i < count; i++)
        add_group(words[i], words[3]);
    loop = loop_new();
    uint64_t now_ns = clock_now_ns();
    warm_until_ns = now_ns + (uint64_t)(atof(words[4]) * 1e9);
    end_ns = warm_until_ns + (uint64_t)(seconds * 1e9);
    due_ns = now_ns;
    arrivals.fire = come;
    loop_timer_start(loop, &arrivals, now_ns);
    struct loop_timer last = {.fire = over};
    loop_timer_start(loop, &last, end_ns);
    loop_run(loop);
    for (size_t i = 0; i < tally_count; i++)
        print(&tallies[i], seconds);
    return 0;
}
