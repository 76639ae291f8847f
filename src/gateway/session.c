/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of requests: see session.h.
 */
#include "gateway/session.h"

#include "base/hash.h"

/* Seeds: the same in all gateways and releases, so that they place keys alike. */
enum { SEED_KEY = 0x6b6579, SEED_TARGET = 0x74617267, SEED_TAG = 0x746167 };

/* ---- the cookie */

/* Each group has its own cookie, as it has its own servers. */
static struct span cookie_name(const struct balance_session_settings *settings, struct span group,
                               struct arena *arena)
{
    return group.length
               ? span_text(arena_format(arena, "%s-%.*s", settings->name, SPAN_ARGS(group)))
               : span_text(settings->name);
}

static void read_cookie(const struct conf_site *site, struct span group, struct http_fields *fields,
                        uint64_t now_s, struct gateway_session *session)
{
    const struct balance_session_settings *settings = &site->balance.session;
    struct span name = cookie_name(settings, group, fields->arena);
    uint64_t latest_s = now_s + session->after_write_s;
    session->kind = BALANCE_SESSION_COOKIE;
    struct span cookie;
    if (http_cookie_take(fields, name, &cookie))
        (void)balance_cookie_read(crypto_openssl(), settings, span_text(site->name), cookie,
                                  &session->known);
    if (session->known.fresh_until_s > latest_s) /* the client's own invention, or an old setting */
        session->known.fresh_until_s = latest_s;
}

/* ---- keys */

static uint64_t key_of(const struct conf_site *site, const struct http_opening *opening,
                       struct span text)
{
    uint64_t seed = hash_span(opening->group, hash_span(span_text(site->name), SEED_KEY));
    return hash_span(text, seed);
}

static uint64_t key_of_client(const struct conf_site *site, const struct http_opening *opening)
{
    const struct balance_session_settings *settings = &site->balance.session;
    uint8_t bytes[16];
    return key_of(site, opening, balance_client_network(settings, &opening->client, bytes));
}

/* In the query, or behind a semicolon of the path (";jsessionid=..."). As it is written: not decoded. */
static struct span find_parameter(struct span target, struct span wanted)
{
    size_t question = span_find(target, '?');
    struct span parts[] = {span_from(target, question + 1), span_of(target.data, question)};
    size_t semicolon = span_find(parts[1], ';');
    parts[1] = span_from(parts[1], semicolon + 1);
    for (unsigned i = 0; i < 2; i++)
        for (struct span rest = parts[i]; rest.length;) {
            size_t end = 0;
            while (end < rest.length && !strchr(i ? ";/" : "&;", rest.data[end]))
                end++;
            struct span pair = span_of(rest.data, end);
            size_t equals = span_find(pair, '=');
            rest = span_from(rest, end + 1);
            if (span_equal(span_of(pair.data, equals), wanted) && equals + 1 < pair.length)
                return span_from(pair, equals + 1);
        }
    return (struct span){0};
}

static void take_key(const struct conf_site *site, const struct http_opening *opening,
                     struct span value, struct gateway_session *session)
{
    if (!value.length)
        return;
    session->kind = site->balance.session.kind;
    session->key = key_of(site, opening, value);
    session->has_key = true;
}

static void read_key(const struct conf_site *site, const struct http_opening *opening,
                     const struct http_head *head, struct gateway_session *session)
{
    const struct balance_session_settings *settings = &site->balance.session;
    const struct http_field *field;
    switch (settings->kind) {
    case BALANCE_SESSION_OFF:
    case BALANCE_SESSION_COOKIE:
        break;
    case BALANCE_SESSION_HEADER:
        field = http_fields_find_text(&head->fields, span_text(settings->name));
        take_key(site, opening, field ? field->value : (struct span){0}, session);
        break;
    case BALANCE_SESSION_CLIENT:
        session->kind = BALANCE_SESSION_CLIENT;
        session->key = key_of_client(site, opening);
        session->has_key = true;
        break;
    case BALANCE_SESSION_PARAMETER:
        take_key(site, opening, find_parameter(head->target, span_text(settings->name)), session);
        break;
    }
}

/* Of policy `hash`. */
static uint64_t policy_key(const struct conf_site *site, const struct http_opening *opening,
                           const struct http_head *head)
{
    switch (site->balance.key) {
    case BALANCE_KEY_PATH:
        return key_of(site, opening, span_of(head->target.data, span_find(head->target, '?')));
    case BALANCE_KEY_TARGET:
        return key_of(site, opening, head->target);
    case BALANCE_KEY_HOST:
        return key_of(site, opening, head->host);
    case BALANCE_KEY_CLIENT:
        break;
    }
    return key_of_client(site, opening);
}

/* ---- a request */

static void follow_known(struct gateway_session *session, uint64_t now_s)
{
    if (session->need == BALANCE_NEEDS_ANY && session->known.fresh_until_s > now_s)
        session->need = BALANCE_NEEDS_FRESH;
}

void gateway_session_read(const struct conf_site *site, const struct http_opening *opening,
                          struct http_head *head, uint64_t now_s, struct gateway_session *session)
{
    bool changes = !http_method_is_safe(head->method);
    *session = (struct gateway_session){
        .changes = changes,
        .need = changes ? BALANCE_NEEDS_ORIGINAL : BALANCE_NEEDS_ANY,
        .after_write_s = (uint32_t)((site->balance.after_write_ns + 999999999) / 1000000000)};
    if (site->balance.session.kind == BALANCE_SESSION_COOKIE)
        read_cookie(site, opening->group, &head->fields, now_s, session);
    else
        read_key(site, opening, head, session);
    if (!session->has_key && site->balance.policy == BALANCE_HASH) {
        session->key = policy_key(site, opening, head);
        session->has_key = true;
    }
    follow_known(session, now_s);
}

bool gateway_session_is_remembered(const struct gateway_session *session)
{
    return session->kind != BALANCE_SESSION_OFF && session->kind != BALANCE_SESSION_COOKIE;
}

void gateway_session_find(struct gateway_session *session, struct balance_sessions *table,
                          uint64_t now_ns, uint64_t now_s)
{
    if (!table || !gateway_session_is_remembered(session))
        return;
    (void)balance_sessions_find(table, session->key, now_ns, &session->known);
    follow_known(session, now_s);
}

bool gateway_session_may_use(const struct gateway_session *session, enum balance_role role)
{
    return session->need == BALANCE_NEEDS_ANY || role != BALANCE_MIRROR;
}

uint64_t gateway_session_settle(const struct gateway_session *session, uint64_t identity,
                                enum balance_role role, bool is_own_usable)
{
    bool is_once = session->need != BALANCE_NEEDS_ANY && role == BALANCE_ORIGINAL;
    return is_once && is_own_usable && session->known.identity ? session->known.identity : identity;
}

/* Until when the session sees the original, with this request. */
static uint64_t fresh_until(const struct gateway_session *session, uint64_t now_s)
{
    uint64_t until_s = session->changes ? now_s + session->after_write_s : 0;
    if (until_s < session->known.fresh_until_s)
        until_s = session->known.fresh_until_s;
    return until_s > now_s ? until_s : 0;
}

void gateway_session_put(const struct gateway_session *session, struct balance_sessions *table,
                         uint64_t identity, uint64_t now_ns, uint64_t now_s)
{
    if (!table || !gateway_session_is_remembered(session))
        return;
    const struct balance_session now = {identity, fresh_until(session, now_s)};
    balance_sessions_put(table, session->key, now_ns, &now);
}

/* ---- its answer */

static bool is_zero(struct span element)
{
    struct span value = span_from(element, span_find(element, '=') + 1);
    while (span_starts(value, SPAN("0")))
        value = span_from(value, 1);
    return !value.length;
}

/* A lifetime that says nothing but "ask again" is none. */
struct sharing {
    bool is_private, has_lifetime, has_age;
};

static void read_sharing(struct span value, struct sharing *sharing)
{
    struct span element;
    while (http_list_next(&value, &element)) {
        struct span name = span_of(element.data, span_find(element, '='));
        if (span_equal_nocase(name, SPAN("private")) || span_equal_nocase(name, SPAN("no-store")))
            sharing->is_private = true;
        bool is_age =
            span_equal_nocase(name, SPAN("max-age")) || span_equal_nocase(name, SPAN("s-maxage"));
        sharing->has_age |= is_age;
        sharing->has_lifetime |=
            (is_age && !is_zero(element)) || span_equal_nocase(name, SPAN("public"));
    }
}

/* A cache may give it to others (RFC 9111 section 3), or one to which another field speaks than to the rest (RFC 9213). */
static bool is_shared(const struct http_head *answer)
{
    const struct http_fields *fields = &answer->fields;
    struct sharing all = {0}, some = {0};
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        if (field->id == HTTP_NAME_CACHE_CONTROL)
            read_sharing(field->value, &all);
        else if (field->id == HTTP_NAME_CDN_CACHE_CONTROL ||
                 span_equal_nocase(field->name, SPAN("causeway-cache-control")))
            read_sharing(field->value, &some);
    }
    if (!all.has_age) /* which goes before Expires */
        all.has_lifetime |= http_fields_has(fields, HTTP_NAME_EXPIRES);
    return (!all.is_private && all.has_lifetime) || (!some.is_private && some.has_lifetime);
}

int gateway_session_tell(const struct gateway_session *session, const struct conf_site *site,
                         const struct http_opening *opening, uint64_t identity, uint64_t now_s,
                         struct http_head *answer)
{
    const struct balance_session_settings *settings = &site->balance.session;
    char text[BALANCE_COOKIE_BYTES];
    if (session->kind != BALANCE_SESSION_COOKIE || settings->kind != BALANCE_SESSION_COOKIE)
        return 0;
    const struct balance_session now = {identity, fresh_until(session, now_s)};
    bool is_known = now.identity == session->known.identity &&
                    now.fresh_until_s <= session->known.fresh_until_s;
    if (is_known || answer->status == 304 || (!session->changes && is_shared(answer)))
        return 0;
    struct span cookie =
        balance_cookie_write(crypto_openssl(), settings, span_text(site->name), &now, text);
    struct span name = cookie_name(settings, opening->group, answer->fields.arena);
    const char *value =
        arena_format(answer->fields.arena, "%.*s=%.*s; Path=/; HttpOnly; SameSite=Lax%s",
                     SPAN_ARGS(name), SPAN_ARGS(cookie), opening->is_https ? "; Secure" : "");
    return http_fields_add(&answer->fields, HTTP_NAME_SET_COOKIE, span_text(value));
}

bool gateway_session_validator(const struct http_head *head, const struct http_head *answer,
                               uint64_t now_s, uint64_t *target,
                               struct balance_validator *validator)
{
    const struct http_fields *fields = &answer->fields;
    *validator = (struct balance_validator){0};
    if (head->method != HTTP_METHOD_GET || (answer->status != 200 && answer->status != 304) ||
        http_fields_has(&head->fields, HTTP_NAME_AUTHORIZATION))
        return false;
    const struct http_field *tag = http_fields_find(fields, HTTP_NAME_ETAG);
    const struct http_field *modified = http_fields_find(fields, HTTP_NAME_LAST_MODIFIED);
    if (tag) {
        struct span value = tag->value;
        value = span_from(value, span_starts(value, SPAN("W/")) ? 2 : 0);
        validator->tag = hash_span(value, SEED_TAG);
    }
    if (modified && http_date_read(modified->value, now_s, &validator->modified_s) < 0)
        validator->modified_s = 0;
    if (!validator->tag && !validator->modified_s)
        return false;
    const struct http_field *encoding = http_fields_find(&head->fields, HTTP_NAME_ACCEPT_ENCODING);
    uint64_t hash = hash_span(head->host, SEED_TARGET);
    hash = hash_span(encoding ? encoding->value : (struct span){0}, hash);
    *target = hash_span(head->target, hash);
    return true;
}
