/* SPDX-License-Identifier: Apache-2.0
 *
 * What every intermediary does to a message (RFC 9110 section 7.6, RFC 7239), and the host of a
 * request.
 */
#include "http/chars.h"
#include "http/fields.h"

/* The name's bit, if it is in that word of a set. */
#define SET(word, name) (HTTP_NAME_##name / 64 == (word) ? 1ull << (HTTP_NAME_##name % 64) : 0)

typedef uint64_t name_set[2];

#define HOP_BY_HOP(word)                                                             \
    (SET(word, CONNECTION) | SET(word, KEEP_ALIVE) | SET(word, PROXY_AUTHENTICATE) | \
     SET(word, PROXY_AUTHORIZATION) | SET(word, PROXY_CONNECTION) | SET(word, TE) |  \
     SET(word, TRANSFER_ENCODING) | SET(word, UPGRADE) | SET(word, CONTENT_LENGTH))

/* Written from the head's members, never from the list. */
#define FRAMING(word)                                                                \
    (SET(word, CONNECTION) | SET(word, KEEP_ALIVE) | SET(word, PROXY_CONNECTION) |   \
     SET(word, TRANSFER_ENCODING) | SET(word, UPGRADE) | SET(word, CONTENT_LENGTH) | \
     SET(word, HOST))

/* RFC 9110 section 6.5.1: what frames, routes, authenticates, modifies a request, controls an
 * answer or says how to process content has no place behind it. */
#define NO_TRAILER(word)                                                                          \
    (FRAMING(word) | HOP_BY_HOP(word) | SET(word, TRAILER) | SET(word, AUTHORIZATION) |           \
     SET(word, WWW_AUTHENTICATE) | SET(word, COOKIE) | SET(word, SET_COOKIE) |                    \
     SET(word, CONTENT_ENCODING) | SET(word, CONTENT_TYPE) | SET(word, CONTENT_RANGE) |           \
     SET(word, CACHE_CONTROL) | SET(word, EXPECT) | SET(word, MAX_FORWARDS) | SET(word, RANGE) |  \
     SET(word, IF_MATCH) | SET(word, IF_NONE_MATCH) | SET(word, IF_MODIFIED_SINCE) |              \
     SET(word, IF_UNMODIFIED_SINCE) | SET(word, IF_RANGE) | SET(word, AGE) | SET(word, EXPIRES) | \
     SET(word, DATE) | SET(word, LOCATION) | SET(word, RETRY_AFTER) | SET(word, VARY) |           \
     SET(word, VIA) | SET(word, FORWARDED) | SET(word, X_FORWARDED_FOR) |                         \
     SET(word, X_FORWARDED_PROTO) | SET(word, X_FORWARDED_HOST) | SET(word, X_FORWARDED_PORT) |   \
     SET(word, X_REAL_IP))

#define FORWARDED_NAMES(word)                                                           \
    (SET(word, FORWARDED) | SET(word, X_FORWARDED_FOR) | SET(word, X_FORWARDED_PROTO) | \
     SET(word, X_FORWARDED_HOST) | SET(word, X_FORWARDED_PORT) | SET(word, X_REAL_IP))

const name_set http_hop_by_hop_names = {HOP_BY_HOP(0), HOP_BY_HOP(1)},
               http_framing_names = {FRAMING(0), FRAMING(1)};
static const name_set no_trailer = {NO_TRAILER(0), NO_TRAILER(1)},
                      forwarded = {FORWARDED_NAMES(0), FORWARDED_NAMES(1)},
                      x_forwarded = {FORWARDED_NAMES(0) & ~SET(0, FORWARDED),
                                     FORWARDED_NAMES(1) & ~SET(1, FORWARDED)};

static bool is_in(const name_set set, enum http_name id)
{
    return set[id / 64] >> (id % 64) & 1;
}

bool http_name_is_trailer(enum http_name id)
{
    return !is_in(no_trailer, id);
}

static bool is_chosen(const struct http_field *field, const void *context)
{
    return is_in(*(const name_set *)context, field->id);
}

static void remove_set(struct http_fields *fields, const name_set *set)
{
    if ((fields->present[0] & (*set)[0]) | (fields->present[1] & (*set)[1]))
        http_fields_remove_if(fields, is_chosen, set);
}

/* Options that are the connection's own, and the one field that no option may take away. */
static bool is_plain_option(struct span option)
{
    return span_equal_nocase(option, SPAN("keep-alive")) ||
           span_equal_nocase(option, SPAN("close")) || span_equal_nocase(option, SPAN("upgrade")) ||
           span_equal_nocase(option, SPAN("te")) || span_equal_nocase(option, SPAN("host"));
}

void http_connection_options_read(struct http_connection_options *options,
                                  const struct http_fields *fields)
{
    options->count = 0;
    if (!http_fields_has(fields, HTTP_NAME_CONNECTION))
        return;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, option;
        if (fields->list[i].id != HTTP_NAME_CONNECTION)
            continue;
        while (options->count < HTTP_CONNECTION_OPTIONS_MOST && http_list_next(&rest, &option))
            if (!is_plain_option(option))
                options->names[options->count++] = option;
    }
}

bool http_is_connection_option(const struct http_connection_options *options, struct span name)
{
    for (uint32_t i = 0; i < options->count; i++)
        if (span_equal_nocase(options->names[i], name))
            return true;
    return false;
}

static bool is_option(const struct http_field *field, const void *context)
{
    return http_is_connection_option(context, field->name);
}

void http_remove_nominated(struct http_fields *fields)
{
    struct http_connection_options options;
    http_connection_options_read(&options, fields);
    if (!options.count)
        return;
    http_fields_remove_if(fields, is_option, &options);
    http_fields_remove(fields, HTTP_NAME_CONNECTION);
}

void http_remove_hop_by_hop(struct http_fields *fields)
{
    struct http_connection_options options;
    http_connection_options_read(&options, fields);
    if (options.count)
        http_fields_remove_if(fields, is_option, &options);
    bool wants_trailers = http_fields_list_has(fields, HTTP_NAME_TE, SPAN("trailers"));
    remove_set(fields, &http_hop_by_hop_names);
    /* There is room: at least TE itself has just left. */
    if (wants_trailers &&
        http_fields_put(fields, HTTP_NAME_TE, http_name_text(HTTP_NAME_TE), SPAN("trailers")))
        INVARIANT(!"room for a field that was removed");
}

/* "X_Forwarded_For": origins that hand fields on as environment variables cannot tell it from
 * the true one. */
static bool is_forwarded_in_disguise(const struct http_field *field, const void *context)
{
    uint8_t plain[sizeof "X-Forwarded-Proto"];
    (void)context;
    if (field->id != HTTP_NAME_OTHER || field->name.length > sizeof plain ||
        span_find(field->name, '_') == field->name.length)
        return false;
    for (size_t i = 0; i < field->name.length; i++)
        plain[i] = field->name.data[i] == '_' ? '-' : field->name.data[i];
    return is_in(forwarded, http_name_of_token(span_of(plain, field->name.length)));
}

/* Of the family without being among the names that are known here ("X-Forwarded-Scheme", "X-Forwarded-Prefix"), or what some
 * origins take for the URL that was asked for: rules and stored answers went by another one. */
static bool speaks_for_proxies(const struct http_field *field, const void *context)
{
    static const struct span names[] = {
        {(const uint8_t *)"x-original-url", 14},       {(const uint8_t *)"x-rewrite-url", 13},
        {(const uint8_t *)"x-original-host", 15},      {(const uint8_t *)"x-host", 6},
        {(const uint8_t *)"x-http-host-override", 20},
    };
    const struct span family = SPAN("x-forwarded");
    uint8_t plain[sizeof "X-HTTP-Host-Override"];
    if (field->id != HTTP_NAME_OTHER || ascii_lower(field->name.data[0]) != 'x')
        return false;
    size_t length = field->name.length < sizeof plain ? field->name.length : sizeof plain;
    for (size_t i = 0; i < length; i++)
        plain[i] = field->name.data[i] == '_' ? '-' : ascii_lower(field->name.data[i]);
    if (span_starts(span_of(plain, length), family))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_equal(span_of(plain, length), names[i]))
            return true;
    return is_forwarded_in_disguise(field, context);
}

void http_remove_forwarded(struct http_fields *fields)
{
    remove_set(fields, &forwarded);
    http_fields_remove_if(fields, speaks_for_proxies, NULL);
}

int http_add_via(struct http_fields *fields, uint8_t minor, struct span pseudonym)
{
    if (!http_is_token(pseudonym))
        return ERROR_INVALID;
    uint8_t *value = arena_take(fields->arena, pseudonym.length + 4);
    memcpy(value, minor ? "1.1 " : "1.0 ", 4);
    memcpy(value + 4, pseudonym.data, pseudonym.length);
    return http_fields_put(fields, HTTP_NAME_VIA, http_name_text(HTTP_NAME_VIA),
                           span_of(value, pseudonym.length + 4));
}

/* A value in the making, in room that is known to be enough. */
struct value {
    uint8_t *bytes;
    size_t length;
};

static void put(struct value *value, struct span part)
{
    if (part.length)
        memcpy(value->bytes + value->length, part.data, part.length);
    value->length += part.length;
}

/* Gives the list element to whatever the name's field says already (the last of them), or to a
 * new field. */
static int add_element(struct http_fields *fields, enum http_name id, struct span element)
{
    struct http_field *last = NULL;
    for (uint32_t i = 0; i < fields->count && http_fields_has(fields, id); i++)
        if (fields->list[i].id == id && fields->list[i].value.length)
            last = &fields->list[i];
    if (!last)
        return http_fields_put(fields, id, http_name_text(id), element);
    struct value value = {arena_take(fields->arena, last->value.length + 2 + element.length), 0};
    put(&value, last->value);
    put(&value, SPAN(", "));
    put(&value, element);
    last->value = span_of(value.bytes, value.length);
    return 0;
}

static int add_unless_there(struct http_fields *fields, enum http_name id, struct span value)
{
    if (http_fields_has(fields, id))
        return 0;
    return http_fields_put(fields, id, http_name_text(id), arena_copy(fields->arena, value));
}

enum { PORT_TEXT_BYTES = 6 };

static struct span port_text(uint16_t port, char out[PORT_TEXT_BYTES])
{
    char *at = out + PORT_TEXT_BYTES;
    do
        *--at = (char)('0' + port % 10);
    while (port /= 10);
    return span_of(at, (size_t)(out + PORT_TEXT_BYTES - at));
}

/* "host" or "host:port", in the arena. */
static struct span authority(const struct http_head *head, struct arena *arena)
{
    if (!head->port)
        return head->host;
    char digits[PORT_TEXT_BYTES];
    struct value value = {arena_take(arena, head->host.length + 1 + sizeof digits), 0};
    put(&value, head->host);
    put(&value, SPAN(":"));
    put(&value, port_text(head->port, digits));
    return span_of(value.bytes, value.length);
}

static int add_standard(struct http_fields *fields, struct span client, bool is_v6,
                        struct span scheme, struct span host)
{
    struct value value = {arena_take(fields->arena, client.length + host.length + 64), 0};
    put(&value, is_v6 ? SPAN("for=\"[") : SPAN("for="));
    put(&value, client);
    put(&value, is_v6 ? SPAN("]\";proto=") : SPAN(";proto="));
    put(&value, scheme);
    if (host.length) {
        bool is_token = http_is_token(host);
        put(&value, is_token ? SPAN(";host=") : SPAN(";host=\""));
        put(&value, host);
        put(&value, is_token ? SPAN("") : SPAN("\""));
    }
    return add_element(fields, HTTP_NAME_FORWARDED, span_of(value.bytes, value.length));
}

static int add_customary(struct http_fields *fields, const struct http_opening *opening,
                         struct span client, struct span scheme, struct span host)
{
    char digits[PORT_TEXT_BYTES];
    int result = add_element(fields, HTTP_NAME_X_FORWARDED_FOR, arena_copy(fields->arena, client));
    if (!result)
        result = add_unless_there(fields, HTTP_NAME_X_FORWARDED_PROTO, scheme);
    if (!result && host.length)
        result = add_unless_there(fields, HTTP_NAME_X_FORWARDED_HOST, host);
    if (!result)
        result = add_unless_there(fields, HTTP_NAME_X_FORWARDED_PORT,
                                  port_text(opening->edge_port, digits));
    return result;
}

int http_add_forwarded(struct http_fields *fields, const struct http_opening *opening,
                       const struct http_head *head, unsigned kinds)
{
    char text[ADDRESS_TEXT_BYTES];
    struct address address = address_unmap(&opening->client);
    struct span client = span_text(address_text(&address, false, text));
    struct span scheme = opening->is_https ? SPAN("https") : SPAN("http");
    struct span host = kinds ? authority(head, fields->arena) : (struct span){0};
    if (!(kinds & HTTP_FORWARDED))
        http_fields_remove(fields, HTTP_NAME_FORWARDED);
    if (!(kinds & HTTP_X_FORWARDED)) {
        remove_set(fields, &x_forwarded);
        http_fields_remove_if(fields, is_forwarded_in_disguise, NULL);
    }
    int result = 0;
    if (kinds & HTTP_FORWARDED)
        result = add_standard(fields, client, address.family == 6, scheme, host);
    if (!result && kinds & HTTP_X_FORWARDED)
        result = add_customary(fields, opening, client, scheme, host);
    return result;
}

/* Letters, digits, "-", "_" and "~"; dots stand between those. */
enum host_byte { HOST_NONE, HOST_DOT, HOST_BYTE };

static const uint8_t host_bytes[256] = {
    ['-'] = HOST_BYTE,         ['.'] = HOST_DOT,  ['0' ... '9'] = HOST_BYTE,
    ['A' ... 'Z'] = HOST_BYTE, ['_'] = HOST_BYTE, ['a' ... 'z'] = HOST_BYTE,
    ['~'] = HOST_BYTE,
};

bool http_is_host(struct span host)
{
    if (!host.length || host.length > HTTP_HOST_MOST)
        return false;
    if (host.data[0] == '[') {
        struct address address;
        return host.data[host.length - 1] == ']' && host.length > 2 &&
               !address_parse(span_of(host.data + 1, host.length - 2), &address) &&
               address.family == 6;
    }
    uint8_t before = HOST_DOT;
    for (size_t i = 0; i < host.length; i++) {
        uint8_t kind = host_bytes[host.data[i]];
        if (kind == HOST_NONE || (kind == HOST_DOT && before == HOST_DOT))
            return false;
        before = kind;
    }
    return before != HOST_DOT;
}

static int read_port(struct span text, uint16_t *port)
{
    uint64_t number;
    *port = 0;
    if (!text.length)
        return 0; /* "host:" is allowed and says nothing (RFC 3986 section 3.2.3) */
    if (text.length > 5 || span_number(text, &number) || !number || number > 65535)
        return ERROR_INVALID;
    *port = (uint16_t)number;
    return 0;
}

int http_host_parse(struct span text, struct arena *arena, struct span *host, uint16_t *port)
{
    size_t end =
        text.length && text.data[0] == '[' ? span_find(text, ']') + 1 : span_find(text, ':');
    if (end > text.length || (end < text.length && text.data[end] != ':'))
        return ERROR_INVALID;
    struct span name = span_of(text.data, end);
    if (end && text.data[end - 1] == '.')
        name.length--; /* fully qualified: the same host */
    if (!http_is_host(name) || read_port(span_from(text, end + 1), port))
        return ERROR_INVALID;
    for (size_t i = 0; i < name.length; i++) {
        if (ascii_lower(name.data[i]) == name.data[i])
            continue;
        uint8_t *lower = arena_take(arena, name.length);
        for (size_t j = 0; j < name.length; j++)
            lower[j] = ascii_lower(name.data[j]);
        name.data = lower;
        break;
    }
    *host = name;
    return 0;
}

bool http_is_target(struct span target)
{
    if (!target.length || target_run(target.data, 0, target.length) != target.length)
        return false;
    return target.data[0] == '/' || span_equal(target, SPAN("*"));
}
