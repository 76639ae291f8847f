/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions as clients tell them, in cookies, fields and targets: the first byte chooses how the site knows them, then a target and fields follow, a line
 * each. Whatever comes, our own cookie is nowhere in what goes on to the origin, all others are, in their order, and what the
 * answer sets names the same server when it comes back.
 */
#include "gateway/session.h"

#include "fuzz.h"

enum { NOW_S = 1795000000, SERVER = 0xabc, FIELDS_MOST = 16 };

static const struct balance_session_settings kinds[] = {
    {.kind = BALANCE_SESSION_COOKIE, .name = "s"},
    {.kind = BALANCE_SESSION_COOKIE,
     .name = "s",
     .secrets = {{(const uint8_t *)"0123456789abcdef", 16}},
     .secret_count = 1},
    {.kind = BALANCE_SESSION_HEADER, .name = "X-User"},
    {.kind = BALANCE_SESSION_CLIENT, .ipv4_bits = 24, .ipv6_bits = 56},
    {.kind = BALANCE_SESSION_PARAMETER, .name = "sid"},
};

static struct span take_line(struct span *rest)
{
    size_t end = span_find(*rest, '\n');
    struct span line = span_of(rest->data, end);
    *rest = span_from(*rest, end + 1);
    return line;
}

/* The cookies but ours, each followed by a line end. */
static void list_cookies(const struct http_fields *fields, struct text *list, unsigned *ours)
{
    for (uint32_t i = 0; i < fields->count; i++)
        for (struct span rest = fields->list[i].value;
             fields->list[i].id == HTTP_NAME_COOKIE && rest.length;) {
            size_t end = span_find(rest, ';');
            struct span pair = span_trim(span_of(rest.data, end));
            rest = span_from(rest, end + 1);
            if (span_equal(span_of(pair.data, span_find(pair, '=')), SPAN("s")))
                (*ours)++;
            else if (pair.length)
                text_add_span(list, pair), text_add(list, "\n");
        }
}

static void read_fields(struct span *rest, struct http_head *head)
{
    head->target = take_line(rest);
    for (int i = 0; rest->length && i < FIELDS_MOST; i++) {
        struct span line = take_line(rest);
        size_t colon = span_find(line, ':');
        struct span name = span_of(line.data, colon), value = span_trim(span_from(line, colon + 1));
        if (http_is_token(name) && http_is_field_value(value))
            INVARIANT(http_fields_add_text(&head->fields, name, value) == 0);
    }
}

/* What the answer sets comes back, and names the server. */
static void come_again(const struct conf_site *site, const struct http_opening *opening,
                       struct span set, struct arena *arena)
{
    struct http_head again;
    struct gateway_session session;
    http_head_init(&again, arena);
    again.method = HTTP_METHOD_GET;
    again.target = SPAN("/");
    struct span cookie = span_of(set.data, span_find(set, ';'));
    INVARIANT(http_fields_add(&again.fields, HTTP_NAME_COOKIE, cookie) == 0);
    gateway_session_read(site, opening, &again, NOW_S, &session);
    INVARIANT(session.known.identity == SERVER);
    INVARIANT(!http_fields_has(&again.fields, HTTP_NAME_COOKIE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct arena arena = {0};
    struct http_head head, answer;
    struct gateway_session session;
    struct text before = {0}, after = {0};
    unsigned ours_before = 0, ours_after = 0;
    struct conf_site site = {.name = "shop"};
    struct http_opening opening = {.site = SPAN("shop")};
    if (!size)
        return 0;
    site.balance.session = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
    site.balance.policy = data[0] & 0x40 ? BALANCE_HASH : BALANCE_LEAST_PENDING;
    site.balance.after_write_ns = 30000000000;
    rest = span_from(rest, 1);
    http_head_init(&head, &arena);
    http_head_init(&answer, &arena);
    head.method = data[0] & 0x80 ? HTTP_METHOD_POST : HTTP_METHOD_GET;
    answer.status = 200;
    read_fields(&rest, &head);
    list_cookies(&head.fields, &before, &ours_before);
    gateway_session_read(&site, &opening, &head, NOW_S, &session);
    list_cookies(&head.fields, &after, &ours_after);
    if (site.balance.session.kind == BALANCE_SESSION_COOKIE)
        INVARIANT(!ours_after);
    INVARIANT(span_equal(text_span(&before), text_span(&after)));
    INVARIANT(session.known.fresh_until_s <= NOW_S + 30);
    INVARIANT(gateway_session_tell(&session, &site, &opening, SERVER, NOW_S, &answer) == 0);
    const struct http_field *set = http_fields_find(&answer.fields, HTTP_NAME_SET_COOKIE);
    if (set)
        come_again(&site, &opening, set->value, &arena);
    text_clear(&before);
    text_clear(&after);
    arena_clear(&arena);
    return 0;
}
