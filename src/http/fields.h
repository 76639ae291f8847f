/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of fields as parsers fill it: without copies, after checks of their own. Private to http/.
 */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include "http/http.h"

/* Appends what is already valid and lives in the list's arena (or is static). 0 or ERROR_LIMIT. */
MUST_USE int http_fields_put(struct http_fields *fields, enum http_name id, struct span name,
                             struct span value);

void http_fields_empty(struct http_fields *fields); /* the table stays */

void http_fields_remove_if(struct http_fields *fields,
                           bool (*chosen)(const struct http_field *field, const void *context),
                           const void *context);

#endif
