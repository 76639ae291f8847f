/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of fields as parsers fill it: without copies, after checks of their own. Private to
 * http/.
 */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include "http/http.h"

/* Appends what is already valid and lives in the list's arena (or is static). 0 or ERROR_LIMIT. */
MUST_USE int http_fields_put(struct http_fields *fields, enum http_name id, struct span name,
                             struct span value);

/* As it is written. */
static inline struct span http_field_name(const struct http_field *field)
{
    return field->id != HTTP_NAME_OTHER ? http_name_texts[field->id] : field->name;
}

/* http_name_of() for what is known to be a token. */
enum http_name http_name_of_token(struct span text);

void http_fields_remove_if(struct http_fields *fields,
                           bool (*chosen)(const struct http_field *field, const void *context),
                           const void *context);

/* Whether names are tokens and values are values, for whatever is written. */
bool http_fields_are_valid(const struct http_fields *fields);

enum {
    HTTP_METHOD_MOST = 32,    /* bytes of a method and its space: far beyond every registered one */
    HTTP_HEAD_MOST = 1 << 20, /* bytes of a head that is written */
    HTTP_HOST_MOST = 255,     /* bytes of a host name */
    HTTP_CONNECTION_OPTIONS_MOST = 32 /* bounds the work of removing the fields that they name */
};

/* The field names that Connection lists, but for its own words and Host. */
struct http_connection_options {
    struct span names[HTTP_CONNECTION_OPTIONS_MOST];
    uint32_t count;
};

void http_connection_options_read(struct http_connection_options *options,
                                  const struct http_fields *fields);
bool http_is_connection_option(const struct http_connection_options *options, struct span name);

/* Whether there is a byte of content to wait for. */
static inline bool http_has_content(const struct http_head *head)
{
    return head->body == HTTP_BODY_LENGTH ? head->content_length > 0 : head->body != HTTP_BODY_NONE;
}

/* Whether method and target are such as may go on, and fit each other. */
bool http_is_request_line(const struct http_head *head);

/* Whether it is what http_head.host may be, but for upper case. */
bool http_is_host(struct span host);

#endif
