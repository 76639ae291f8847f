/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON of a certificate authority, by jansson.
 */
#include "acme/answer.h"

#include "http/http.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- texts */

bool acme_url_is_good(const char *url)
{
    size_t length = strlen(url);
    if (length > ACME_URL_BYTES || strncmp(url, "https://", 8) != 0 || length == 8)
        return false;
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
            return false;
    return true;
}

bool acme_token_is_good(struct span token)
{
    if (!token.length || token.length > ACME_TOKEN_BYTES)
        return false;
    for (size_t i = 0; i < token.length; i++) {
        uint8_t byte = token.data[i];
        if (!((uint8_t)(ascii_lower(byte) - 'a') < 26 || (uint8_t)(byte - '0') < 10 ||
              byte == '-' || byte == '_'))
            return false;
    }
    return true;
}

/* What a log can show. */
static void take_text(const json_t *value, char *out, size_t room)
{
    const char *text = json_string_value(value);
    snprintf(out, room, "%s", text ? text : "");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = ' ';
}

/* NULL: not there, or not one that we would ask. */
static const char *take_url(const json_t *object, const char *name, struct arena *arena)
{
    const char *url = json_string_value(json_object_get(object, name));
    return url && acme_url_is_good(url) ? arena_text(arena, url) : NULL;
}

static enum acme_status status_of(const json_t *object)
{
    static const char *const words[] = {[ACME_STATUS_UNKNOWN] = "",
#define X(name, text) [ACME_STATUS_##name] = (text),
                                        ACME_STATUS_LIST(X)
#undef X
    };
    const char *word = json_string_value(json_object_get(object, "status"));
    for (size_t i = 1; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            return (enum acme_status)i;
    return ACME_STATUS_UNKNOWN;
}

/* NULL with a sentence: no object. */
static json_t *parse(struct span json, const char *what, struct text *why)
{
    json_t *object = json.length <= ACME_ANSWER_BYTES
                         ? json_loadb((const char *)json.data, json.length, 0, NULL)
                         : NULL;
    if (json_is_object(object))
        return object;
    json_decref(object);
    if (why)
        text_add_format(why, "%s is no JSON object", what);
    return NULL;
}

/* ---- problems */

static void take_problem(const json_t *object, struct acme_problem *problem)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    const char *colon = type ? strrchr(type, ':') : NULL;
    json_t *word = json_string_nocheck(colon ? colon + 1 : "");
    const json_t *first = json_array_get(json_object_get(object, "subproblems"), 0);
    take_text(word, problem->type, sizeof problem->type);
    json_decref(word);
    take_text(json_object_get(object, "detail"), problem->detail, sizeof problem->detail);
    if (!problem->detail[0] && first)
        take_text(json_object_get(first, "detail"), problem->detail, sizeof problem->detail);
}

void acme_problem_parse(struct span json, struct acme_problem *problem)
{
    *problem = (struct acme_problem){0};
    json_t *object = parse(json, "", NULL);
    if (object)
        take_problem(object, problem);
    json_decref(object);
}

/* ---- what she offers and holds */

int acme_directory_parse(struct span json, struct arena *arena, struct acme_directory *directory,
                         struct text *why)
{
    json_t *object = parse(json, "the directory", why);
    if (!object)
        return ERROR_INVALID;
    *directory = (struct acme_directory){.new_nonce = take_url(object, "newNonce", arena),
                                         .new_account = take_url(object, "newAccount", arena),
                                         .new_order = take_url(object, "newOrder", arena),
                                         .renewal_info = take_url(object, "renewalInfo", arena),
                                         .needs_binding = json_is_true(
                                             json_object_get(json_object_get(object, "meta"),
                                                             "externalAccountRequired"))};
    json_decref(object);
    if (directory->new_nonce && directory->new_account && directory->new_order)
        return 0;
    text_add(why, "this is no ACME directory: it names no newNonce, newAccount and newOrder");
    return ERROR_INVALID;
}

int acme_order_parse(struct span json, struct arena *arena, struct acme_order_answer *order,
                     struct text *why)
{
    json_t *object = parse(json, "the order", why);
    if (!object)
        return ERROR_INVALID;
    *order = (struct acme_order_answer){.status = status_of(object),
                                        .finalize = take_url(object, "finalize", arena),
                                        .certificate = take_url(object, "certificate", arena)};
    take_problem(json_object_get(object, "error"), &order->problem);
    const json_t *list = json_object_get(object, "authorizations");
    bool is_good = order->status && order->finalize && json_array_size(list) > 0 &&
                   json_array_size(list) <= ACME_AUTHORIZATIONS_MOST;
    for (size_t i = 0; is_good && i < json_array_size(list); i++) {
        const char *url = json_string_value(json_array_get(list, i));
        is_good = url && acme_url_is_good(url);
        if (is_good)
            order->authorizations[order->authorization_count++] = arena_text(arena, url);
    }
    json_decref(object);
    if (is_good)
        return 0;
    text_add(why, "the order lacks a status, authorizations or where to finalize it");
    return ERROR_INVALID;
}

static bool take_challenge(const json_t *challenge, struct arena *arena,
                           struct acme_authorization *authorization)
{
    const char *token = json_string_value(json_object_get(challenge, "token"));
    if (!token || !acme_token_is_good(span_text(token)))
        return false;
    authorization->url = take_url(challenge, "url", arena);
    authorization->token = arena_text(arena, token);
    return authorization->url != NULL;
}

int acme_authorization_parse(struct span json, const char *challenge, struct arena *arena,
                             struct acme_authorization *authorization, struct text *why)
{
    json_t *object = parse(json, "the authorization", why);
    if (!object)
        return ERROR_INVALID;
    const char *name =
        json_string_value(json_object_get(json_object_get(object, "identifier"), "value"));
    const json_t *list = json_object_get(object, "challenges");
    *authorization =
        (struct acme_authorization){.status = status_of(object), .name = arena_text(arena, name)};
    bool is_good = name && strlen(name) < 256 && authorization->status;
    for (size_t i = 0; is_good && i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const char *type = json_string_value(json_object_get(row, "type"));
        const json_t *error = json_object_get(row, "error");
        if (error)
            take_problem(error, &authorization->problem);
        if (type && strcmp(type, challenge) == 0)
            is_good = take_challenge(row, arena, authorization);
    }
    json_decref(object);
    if (is_good)
        return 0;
    text_add(why, "the authorization lacks a status or a name, or has a malformed challenge");
    return ERROR_INVALID;
}

/* ---- times */

/* RFC 3339, in UTC or with an offset; parts of a second are left out. 0: malformed. */
static uint64_t time_of(const json_t *value)
{
    const char *text = json_string_value(value);
    struct tm broken = {0};
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &broken) : NULL;
    if (!end)
        return 0;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    time_t seconds = timegm(&broken);
    int hours, minutes;
    if ((*end == '+' || *end == '-') && sscanf(end + 1, "%2d:%2d", &hours, &minutes) == 2)
        seconds -= (*end == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    else if (*end != 'Z' && *end != 'z')
        return 0;
    return seconds > 0 ? (uint64_t)seconds : 0;
}

int acme_window_parse(struct span json, struct acme_window *window)
{
    json_t *object = parse(json, "", NULL);
    const json_t *suggested = json_object_get(object, "suggestedWindow");
    *window = (struct acme_window){time_of(json_object_get(suggested, "start")),
                                   time_of(json_object_get(suggested, "end"))};
    json_decref(object);
    return window->begins_s && window->ends_s > window->begins_s ? 0 : ERROR_INVALID;
}

uint64_t acme_retry_after_s(struct span value, uint64_t now_s)
{
    uint64_t seconds;
    if (span_number(value, &seconds) == 0)
        return seconds;
    if (http_date_read(value, now_s, &seconds) == 0 && seconds > now_s)
        return seconds - now_s;
    return 0;
}
