/* SPDX-License-Identifier: Apache-2.0
 *
 * The read-only HTTP listener: /metrics, /status, /links, /readyz. GET and HEAD only; one request for each
 * connection. Host must be one of this listener's own names: else a web page could read it through
 * a visitor's browser (DNS rebinding).
 */
#include "supervisor/admin.h"

#include "base/memory.h"
#include "http/http.h"

#include <stdlib.h>
#include <unistd.h>

enum {
    CLIENTS_LIMIT = 64,
    TIMEOUT_S = 10, /* for the whole exchange */
    READ_BYTES = 16384,
};

struct client {
    struct admin *admin;
    struct list link; /* admin->clients */
    struct loop_watch watch;
    struct loop_timer timeout;
    struct report *report; /* the question under way */
    struct arena arena;
    struct http_parser parser;
    struct http_head request;
    struct slice_queue input, output;
    bool is_answering;
};

static const struct {
    const char *path;
    enum report_kind kind;
} pages[] = {{"/metrics", REPORT_METRICS},
             {"/status", REPORT_STATUS},
             {"/links", REPORT_INQUIRY},
             {"/readyz", REPORT_READY}};

static void client_close(struct client *client)
{
    struct loop *loop = child_loop(client->admin->child);
    loop_watch_remove(loop, &client->watch);
    loop_timer_stop(loop, &client->timeout);
    report_forget(&client->report);
    close(client->watch.fd);
    slice_queue_clear(&client->input);
    slice_queue_clear(&client->output);
    arena_clear(&client->arena);
    list_remove(&client->link);
    client->admin->client_count--;
    memory_free(client);
}

static void flush(struct client *client)
{
    if (socket_write(client->watch.fd, &client->output) < 0 || client->output.bytes == 0) {
        client_close(client);
        return;
    }
    if (loop_watch_set(child_loop(client->admin->child), &client->watch, EPOLLOUT))
        client_close(client);
}

/* ---- answers */

static void add_date(struct http_head *head)
{
    char date[HTTP_DATE_BYTES];
    http_date_text(clock_wall_ns() / 1000000000, date);
    int result = http_fields_add(&head->fields, HTTP_NAME_DATE, span_text(date));
    INVARIANT(result == 0);
}

static void send_head_and_body(struct client *client, struct http_head *head, struct span body)
{
    add_date(head);
    client->request.keeps_alive = false;
    http_response_frame(head, &client->request);
    client->is_answering = true;
    if (http_write_response(&client->output, head)) {
        client_close(client);
        return;
    }
    if (client->request.method != HTTP_METHOD_HEAD)
        slice_queue_append(&client->output, body);
    flush(client);
}

static void answer(struct client *client, unsigned status, const char *type, struct span body)
{
    struct http_head head;
    http_head_init(&head, &client->arena);
    head.status = (uint16_t)status;
    head.body = HTTP_BODY_LENGTH;
    head.has_length = true;
    head.content_length = body.length;
    int result = http_fields_add(&head.fields, HTTP_NAME_CONTENT_TYPE, span_text(type));
    if (result == 0)
        result = http_fields_add(&head.fields, HTTP_NAME_CACHE_CONTROL, SPAN("no-store"));
    if (result == 0)
        result =
            http_fields_add_text(&head.fields, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    INVARIANT(result == 0);
    send_head_and_body(client, &head, body);
}

static void refuse(struct client *client, unsigned status, const char *cause)
{
    struct http_head head;
    http_head_init(&head, &client->arena);
    struct span page =
        http_error_page(&head, &client->request, status, span_text(cause), SPAN("-"));
    if (status == 405) {
        int result = http_fields_add_text(&head.fields, SPAN("Allow"), SPAN("GET, HEAD"));
        INVARIANT(result == 0);
    }
    send_head_and_body(client, &head, page);
}

static void answer_json(struct client *client, unsigned status, const json_t *body)
{
    char *text = json_dumps(body, JSON_INDENT(2));
    struct text line = {0};
    text_add(&line, text ? text : "{}");
    text_add(&line, "\n");
    free(text);
    answer(client, status, "application/json", text_span(&line));
    text_clear(&line);
}

static void answer_metrics(struct client *client, const struct report *report)
{
    struct text text = {0};
    text_add_format(
        &text,
        "# HELP causeway_children_silent Child processes that did not give their metrics.\n"
        "# TYPE causeway_children_silent gauge\ncauseway_children_silent %zu\n",
        json_array_size(report->missing));
    metrics_sum_write(report->metrics, &text);
    answer(client, 200, "text/plain; version=0.0.4; charset=utf-8", text_span(&text));
    text_clear(&text);
}

static void answer_ready(struct client *client, const struct report *report)
{
    json_t *reasons = json_object_get(report->status, "reasons");
    bool is_ready = json_is_true(json_object_get(report->status, "ready"));
    json_t *body = json_pack("{s:b, s:O?}", "ready", is_ready, "reasons", reasons);
    answer_json(client, is_ready ? 200 : 503, body);
    json_decref(body);
}

/* A node without links has none to show. */
static void answer_links(struct client *client, const struct report *report)
{
    json_t *links = json_array();
    size_t index;
    json_t *answer;
    json_array_foreach(report->answers, index, answer)
    {
        json_array_extend(links, json_object_get(answer, "links"));
    }
    json_t *body = json_pack("{s:o, s:O}", "links", links, "missing", report->missing);
    answer_json(client, 200, body);
    json_decref(body);
}

static void on_report(void *owner, struct report *report)
{
    struct client *client = owner;
    client->report = NULL;
    switch (report->kind) {
    case REPORT_METRICS:
        answer_metrics(client, report);
        return;
    case REPORT_READY:
        answer_ready(client, report);
        return;
    case REPORT_INQUIRY:
        answer_links(client, report);
        return;
    case REPORT_STATUS:
    case REPORT_COMMAND:
        answer_json(client, 200, report->status);
    }
}

/* ---- requests */

static bool is_own_host(const struct client *client)
{
    struct span host = client->request.host;
    const struct conf_admin *conf = child_node(client->admin->child)->admin;
    struct address local, named;
    if (span_equal(host, SPAN("localhost")))
        return true;
    struct span literal = host;
    if (host.length > 2 && host.data[0] == '[')
        literal = span_of(host.data + 1, host.length - 2);
    if (socket_local(client->watch.fd, &local) == 0 && address_parse(literal, &named) == 0)
        return address_same_host(&local, &named);
    for (size_t i = 0; conf && i < conf->hosts.count; i++)
        if (span_equal_nocase(host, span_text(conf->hosts.items[i])))
            return true;
    return false;
}

static void handle(struct client *client)
{
    struct span path = client->request.target;
    path.length = span_find(path, '?');
    client->request.target = path;
    enum http_method method = client->request.method;
    if (!is_own_host(client)) {
        refuse(client, 403, "this host name is not one of this listener's");
        return;
    }
    if (method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD) {
        refuse(client, 405, "this listener only reads");
        return;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (!span_equal(path, span_text(pages[i].path)))
            continue;
        client->is_answering = true;
        json_t *question =
            pages[i].kind == REPORT_INQUIRY
                ? json_pack("{s:s, s:s, s:b}", "verb", "link", "action", "show", "history", true)
                : NULL;
        client->report =
            report_new(client->admin->child, pages[i].kind, question, on_report, client);
        if (!client->report)
            refuse(client, 503, "too many questions at once");
        return;
    }
    refuse(client, 404, "there are /metrics, /status, /links and /readyz");
}

static void on_input(struct client *client)
{
    bool ended;
    struct slice data;
    int got = socket_read(client->watch.fd, &client->input, READ_BYTES, &ended);
    if (got < 0 || ended) { /* also one that goes away while it waits */
        client_close(client);
        return;
    }
    if (client->is_answering) {
        slice_queue_clear(&client->input);
        return;
    }
    switch (http_parser_next(&client->parser, &client->input, &data)) {
    case HTTP_EVENT_MORE:
        return;
    case HTTP_EVENT_HEAD:
        handle(client);
        return;
    case HTTP_EVENT_ERROR:
        refuse(client, http_cause_status(client->parser.cause),
               http_cause_text(client->parser.cause));
        return;
    case HTTP_EVENT_DATA:
    case HTTP_EVENT_TRAILERS:
    case HTTP_EVENT_END:
        INVARIANT(false); /* the head comes first, and is the last that is asked for */
    }
}

static void on_ready(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
    (void)loop;
    struct client *client = CONTAINER_OF(watch, struct client, watch);
    if (events & EPOLLOUT)
        flush(client);
    else
        on_input(client);
}

static void on_timeout(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    client_close(CONTAINER_OF(timer, struct client, timeout));
}

void admin_client_accept(struct admin *admin, int listener)
{
    struct address peer;
    int fd;
    if (socket_accept(listener, &peer, &fd))
        return;
    if (admin->client_count == CLIENTS_LIMIT) {
        close(fd);
        return;
    }
    struct client *client = NEW(struct client);
    struct loop *loop = child_loop(admin->child);
    client->admin = admin;
    client->watch = (struct loop_watch){.fd = fd, .ready = on_ready};
    client->timeout.fire = on_timeout;
    http_parser_start_request(&client->parser, &http_limits_default, &client->request,
                              &client->arena);
    list_push_back(&admin->clients, &client->link);
    admin->client_count++;
    loop_timer_start(loop, &client->timeout, loop_now_ns(loop) + TIMEOUT_S * 1000000000ull);
    if (loop_watch_set(loop, &client->watch, EPOLLIN))
        client_close(client);
}

void admin_clients_close(struct admin *admin)
{
    LIST_EACH (link, after, &admin->clients)
        client_close(CONTAINER_OF(link, struct client, link));
}
