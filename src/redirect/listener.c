/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets of a worker: each worker has its own accept queue (SO_REUSEPORT). At the limit of connections the one idle for
 * longest gives way; when nobody is idle the newcomer is closed.
 */
#include "redirect/private.h"

#include <errno.h>
#include <unistd.h>

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    struct redirect_worker *worker = CONTAINER_OF(watch, struct redirect_listener, watch)->worker;
    (void)loop;
    (void)events;
    for (int i = 0; i < REDIRECT_ACCEPTS; i++) {
        struct address peer;
        int fd;
        int result = socket_accept(watch->fd, &peer, &fd);
        if (result == ERROR_LIMIT && redirect_clients_evict(worker))
            continue;
        if (result == ERROR_AGAIN || result == ERROR_LIMIT)
            return;
        if (result < 0)
            continue; /* that connection is gone already */
        if (worker->client_count >= redirect_view(worker)->data->connections_limit &&
            !redirect_clients_evict(worker)) {
            metric_add(&redirect_evicted, 1);
            close(fd);
            continue;
        }
        redirect_client_start(worker, fd, &peer);
    }
}

int redirect_listeners_open(struct redirect_worker *worker)
{
    const struct redirect *redirect = worker->redirect;
    for (size_t i = 0; i < redirect->sockets.count; i++) {
        if (worker->listener_count == REDIRECT_LISTENERS_LIMIT)
            return ERROR_LIMIT;
        struct redirect_listener *listener = &worker->listeners[worker->listener_count];
        *listener = (struct redirect_listener){
            .worker = worker,
            .watch = {.fd = redirect->sockets.http[i * redirect->worker_count + worker->id],
                      .ready = on_ready}};
        int result = loop_watch_set(worker->loop, &listener->watch, EPOLLIN);
        if (result < 0)
            return result;
        worker->listener_count++;
    }
    return 0;
}

void redirect_listeners_close(struct redirect_worker *worker)
{
    while (worker->listener_count)
        loop_watch_remove(worker->loop, &worker->listeners[--worker->listener_count].watch);
}
