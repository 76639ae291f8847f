/* SPDX-License-Identifier: Apache-2.0
 *
 * How links are shown in plain text: what is wrong first, then tables whose columns have units,
 * then the last hour as one character a minute.
 */
#ifndef CLI_LINK_SHOW_H
#define CLI_LINK_SHOW_H

#include "base/text.h"

#include <jansson.h>

/* `links`: the list that the node answered with, each with its history. */
void link_show_all(json_t *links, struct text *text);
void link_show_one(json_t *link, struct text *text);

/* In one word; "silent": up, but nothing passes at the moment. */
const char *link_show_state(json_t *link);

/* Strings of a peer's making, without what could drive a terminal. */
void link_show_plain(struct text *text, const char *value);

#endif
