/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: the prebuilt head of server and exit, the request's own target, and a tail that changes once a second. Nothing is
 * formatted or allocated for a redirect; refusals are rare and take the usual way.
 */
#include "redirect/private.h"

#include <stdio.h>

void redirect_tails_make(struct redirect_worker *worker)
{
    static const char *const connection[REDIRECT_TAILS] = {
        [REDIRECT_TAIL_KEPT] = "",
        [REDIRECT_TAIL_KEPT_1_0] = "Connection: keep-alive\r\n",
        [REDIRECT_TAIL_CLOSE] = "Connection: close\r\n",
    };
    http_date_text(clock_wall_ns() / 1000000000, worker->date);
    for (int i = 0; i < REDIRECT_TAILS; i++)
        worker->tail_bytes[i] =
            (size_t)snprintf(worker->tails[i], sizeof worker->tails[i],
                             "\r\nDate: %s\r\n%sCache-Control: no-store\r\nContent-Length: 0\r\n"
                             "\r\n",
                             worker->date, connection[i]);
}

static void put(struct redirect_worker *worker, struct span bytes)
{
    memcpy(worker->output + worker->output_bytes, bytes.data, bytes.length);
    worker->output_bytes += bytes.length;
}

void redirect_refuse(struct redirect_worker *worker, unsigned status, const char *cause,
                     bool closes)
{
    const struct http_head *request = &worker->head; /* as far as it could be read */
    struct http_head answer;
    struct slice_queue out = {0};
    http_head_init(&answer, &worker->arena);
    struct span page =
        http_error_page(&answer, request, status, span_text(cause), (struct span){0});
    answer.minor = 1;
    answer.keeps_alive = !closes;
    if (http_fields_add(&answer.fields, HTTP_NAME_DATE, span_text(worker->date)) < 0 ||
        http_write_response(&out, &answer) < 0)
        INVARIANT(!"an answer of our own is valid");
    while (out.bytes) {
        struct span part = slice_queue_front(&out);
        put(worker, part);
        slice_queue_consume(&out, part.length);
    }
    if (request->method != HTTP_METHOD_HEAD)
        put(worker, page);
}

static enum redirect_tail tail_of(const struct http_head *head, bool closes)
{
    if (closes)
        return REDIRECT_TAIL_CLOSE;
    return head->minor ? REDIRECT_TAIL_KEPT : REDIRECT_TAIL_KEPT_1_0;
}

static void count_choice(const struct redirect_worker *worker, const struct redirect_data *data,
                         const struct exits_choice *choice)
{
    size_t row = (worker->id * data->server_count + choice->server) * data->border_count;
    _Atomic uint64_t *count = &data->chosen[row + choice->border];
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void redirect_answer(struct redirect_worker *worker, const struct address *peer, bool closes)
{
    const struct redirect_view *view = redirect_view(worker);
    const struct redirect_data *data = view->data;
    const struct http_head *head = &worker->head;
    uint32_t site = redirect_hosts_find(&data->hosts, head->host);
    if (site == UINT32_MAX) {
        metric_add(&redirect_unknown_host, 1);
        redirect_refuse(worker, 404, "no site has this host name here", closes);
        return;
    }
    struct address client = redirect_client_address(&data->trusted_proxies, &head->fields, peer);
    struct exits_choice choice;
    if (!exits_table_choose(view->table, site, &client, &worker->random, &choice)) {
        metric_add(&redirect_no_server, 1);
        redirect_refuse(worker, 503, "no server can be reached", closes);
        return;
    }
    bool is_plain = head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD;
    bool is_found = is_plain && !data->sites[site].is_307;
    const struct redirect_heads *heads =
        &data->heads[choice.server * data->border_count + choice.border];
    enum redirect_tail tail = tail_of(head, closes);
    put(worker, is_found ? heads->found : heads->temporary);
    put(worker, head->target.data[0] == '/' ? head->target : SPAN("/")); /* OPTIONS * */
    put(worker, span_of(worker->tails[tail], worker->tail_bytes[tail]));
    metric_add(is_found ? &redirect_found : &redirect_temporary, 1);
    count_choice(worker, data, &choice);
}
