/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts with variables: $1 to $9, what the pattern's stars or groups stood for; $host, $path, $query, $target, $scheme, $client,
 * $country; $$ for a dollar.
 *
 * In targets and locations captures are percent-encoded again: a capture comes from a decoded path, and must neither end
 * a line nor begin a query.
 */
#include "rules/private.h"

#include <stdio.h>

static const struct {
    const char *name;
    enum variable variable;
} variables[] = {{"host", VARIABLE_HOST},      {"path", VARIABLE_PATH},
                 {"query", VARIABLE_QUERY},    {"target", VARIABLE_TARGET},
                 {"scheme", VARIABLE_SCHEME},  {"client", VARIABLE_CLIENT},
                 {"country", VARIABLE_COUNTRY}};
enum { VARIABLES = sizeof variables / sizeof *variables };

static bool is_letter(uint8_t byte)
{
    return (uint8_t)(ascii_lower(byte) - 'a') < 26 || byte == '_';
}

static const char *find_variable(struct arena *arena, struct span word, enum variable *variable)
{
    const char *names[VARIABLES];
    for (size_t i = 0; i < VARIABLES; i++) {
        names[i] = variables[i].name;
        if (span_equal(word, span_text(names[i]))) {
            *variable = variables[i].variable;
            return NULL;
        }
    }
    const char *text = (const char *)arena_copy(arena, word).data;
    const char *nearest = nearest_word(text, names, VARIABLES);
    return nearest ? arena_format(arena, "unknown variable $%s; did you mean $%s?", text, nearest)
                   : arena_format(arena, "unknown variable $%s", text);
}

/* Behind a dollar, from `*rest` on. */
static const char *compile_variable(struct arena *arena, struct span *rest, struct piece *piece)
{
    bool has_brace = rest->length && rest->data[0] == '{';
    struct span word = span_from(*rest, has_brace ? 1 : 0);
    size_t length = 0;
    if (word.length && word.data[0] == '$' && !has_brace) {
        *piece = (struct piece){.variable = VARIABLE_LITERAL, .literal = SPAN("$")};
        *rest = span_from(*rest, 1);
        return NULL;
    }
    if (word.length && (uint8_t)(word.data[0] - '1') < 9) {
        *piece =
            (struct piece){.variable = VARIABLE_CAPTURE, .capture = (uint32_t)(word.data[0] - '1')};
        length = 1;
    } else {
        while (length < word.length && is_letter(word.data[length]))
            length++;
        const char *why = length
                              ? find_variable(arena, span_of(word.data, length), &piece->variable)
                              : "behind a $ comes 1 to 9, a name, or another $";
        if (why)
            return why;
    }
    word = span_from(word, length);
    if (has_brace && (!word.length || word.data[0] != '}'))
        return "${ is not closed";
    *rest = span_from(word, has_brace ? 1 : 0);
    return NULL;
}

const char *template_compile(struct arena *arena, const char *text, struct template *template)
{
    struct span rest = arena_copy(arena, span_text(text));
    if (rest.length > RULES_TEMPLATE_BYTES)
        return arena_format(arena, "it is longer than %d bytes", RULES_TEMPLATE_BYTES);
    size_t most = 1;
    for (size_t i = 0; i < rest.length; i++)
        most += rest.data[i] == '$' ? 2 : 0;
    template->pieces = ARENA_ARRAY(arena, struct piece, most);
    template->has_query = span_find(rest, '?') < rest.length;
    while (rest.length) {
        struct piece *piece = &template->pieces[template->count++];
        size_t length = span_find(rest, '$');
        if (length) {
            piece->literal = span_of(rest.data, length);
            rest = span_from(rest, length);
            continue;
        }
        rest = span_from(rest, 1);
        const char *why = compile_variable(arena, &rest, piece);
        if (why)
            return why;
        template->has_query |=
            piece->variable == VARIABLE_QUERY || piece->variable == VARIABLE_TARGET;
    }
    return NULL;
}

/* ---- expanding */

struct writer {
    uint8_t *data;
    size_t length;
    bool is_full;
};

static void put(struct writer *writer, struct span span)
{
    if (span.length > RULES_EXPANDED_BYTES - writer->length) {
        writer->is_full = true;
        return;
    }
    if (span.length)
        memcpy(writer->data + writer->length, span.data, span.length);
    writer->length += span.length;
}

static void put_encoded(struct writer *writer, struct span span)
{
    for (size_t i = 0; i < span.length; i++) {
        uint8_t byte = span.data[i];
        char hex[4];
        bool is_plain =
            is_letter(byte) || (uint8_t)(byte - '0') < 10 || strchr("/-.~!$&'()*+,;=:@", byte);
        if (byte && is_plain) {
            put(writer, span_of(&byte, 1));
            continue;
        }
        snprintf(hex, sizeof hex, "%%%02X", byte);
        put(writer, span_of(hex, 3));
    }
}

/* Of a value of a field: what a line cannot hold becomes a blank. */
static void put_value(struct writer *writer, struct span span)
{
    for (size_t i = 0; i < span.length; i++) {
        uint8_t byte = span.data[i] < 0x20 || span.data[i] == 0x7f ? ' ' : span.data[i];
        put(writer, span_of(&byte, 1));
    }
}

static struct span raw_path(const struct http_head *head)
{
    return span_of(head->target.data, span_find(head->target, '?'));
}

static void put_piece(struct writer *writer, const struct piece *piece, enum template_use use,
                      const struct subject *subject, const struct captures *captures)
{
    const struct rules_facts *facts = subject->facts;
    char text[ADDRESS_TEXT_BYTES];
    switch (piece->variable) {
    case VARIABLE_LITERAL:
        put(writer, piece->literal);
        break;
    case VARIABLE_CAPTURE:
        if (piece->capture >= captures->count)
            break;
        if (use == TEMPLATE_TARGET)
            put_encoded(writer, captures->at[piece->capture]);
        else
            put_value(writer, captures->at[piece->capture]);
        break;
    case VARIABLE_HOST:
        put(writer, facts->head->host);
        break;
    case VARIABLE_PATH:
        put(writer, raw_path(facts->head));
        break;
    case VARIABLE_QUERY:
        put(writer, subject->query);
        break;
    case VARIABLE_TARGET:
        put(writer, facts->head->target);
        break;
    case VARIABLE_SCHEME:
        put(writer, facts->is_tls ? SPAN("https") : SPAN("http"));
        break;
    case VARIABLE_CLIENT:
        put(writer, span_text(address_text(&facts->client, false, text)));
        break;
    case VARIABLE_COUNTRY:
        if (facts->country[0])
            put(writer, span_of(facts->country, 2));
        break;
    }
}

bool template_expand(const struct template *template, enum template_use use,
                     const struct subject *subject, const struct captures *captures,
                     struct span *out)
{
    uint8_t room[RULES_EXPANDED_BYTES];
    struct writer writer = {.data = room};
    for (size_t i = 0; i < template->count; i++)
        put_piece(&writer, &template->pieces[i], use, subject, captures);
    if (use == TEMPLATE_TARGET && !template->has_query && subject->query.length) {
        put(&writer, SPAN("?"));
        put(&writer, subject->query);
    }
    /* "/$1" of "//elsewhere.example" would lead to another host. */
    size_t skipped = 0;
    if (use == TEMPLATE_TARGET && writer.length && room[0] == '/')
        while (skipped + 1 < writer.length &&
               (room[skipped + 1] == '/' || room[skipped + 1] == '\\'))
            skipped++;
    if (skipped)
        room[skipped] = '/';
    *out = arena_copy(subject->arena, span_of(room + skipped, writer.length - skipped));
    return !writer.is_full;
}
