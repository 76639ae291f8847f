/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of our own: a page with a short cause.
 */
#include "edge/client.h"

static void answer(struct edge_client *client, unsigned status, const char *cause,
                   const char *location)
{
    edge_client_drop_stream(client, TRANSPORT_CODE_CANCELLED);
    arena_clear(&client->answer_arena);
    http_head_init(&client->answer, &client->answer_arena);
    client->cause = cause;
    struct http_head *request = client->has_head ? &client->head : NULL;
    struct span page = http_error_page(&client->answer, request, status, span_text(cause),
                                       span_text(client->request_id));
    if (http_fields_set(&client->answer.fields, HTTP_NAME_DATE, span_text(client->worker->date)) <
            0 ||
        (location &&
         http_fields_set(&client->answer.fields, HTTP_NAME_LOCATION, span_text(location)) < 0))
        client->answer.keeps_alive = false;
    if (request) {
        http_response_frame(&client->answer, request);
    } else {
        client->answer.minor = 1;
        client->answer.keeps_alive = false;
    }
    if (request && request->body == HTTP_BODY_NONE)
        client->request_ended = true; /* there is nothing more to read of it */
    if (!client->request_ended)
        client->answer.keeps_alive = false;
    if (http_write_response(&client->out, &client->answer) == 0 &&
        client->answer.body != HTTP_BODY_NONE) {
        slice_queue_append(&client->out, page);
        client->bytes_out = page.length;
    }
    edge_client_conclude(client);
}

void edge_client_answer_page(struct edge_client *client, unsigned status, const char *cause)
{
    answer(client, status, cause, NULL);
}

/* R2: the name that the redirector owns, for the same target; what is not to be repeated keeps its method. */
void edge_client_redirect(struct edge_client *client, const char *host)
{
    const struct http_head *head = &client->head;
    bool is_plain = head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD;
    struct span target = head->target.data[0] == '/' ? head->target : SPAN("/");
    char *location = arena_format(head->fields.arena, "http://%s%.*s", host, SPAN_ARGS(target));
    answer(client, is_plain ? 302 : 307, "this site is found elsewhere", location);
}

void edge_client_refuse(struct edge_client *client, enum http_cause cause)
{
    metric_add(&edge_refused, 1);
    edge_client_answer_page(client, http_cause_status(cause), http_cause_text(cause));
}
