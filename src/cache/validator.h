/* SPDX-License-Identifier: Apache-2.0
 *
 * Entity tags and dates that identify a representation (RFC 9110 section 8.8). Private to src/cache.
 */
#ifndef CACHE_VALIDATOR_H
#define CACHE_VALIDATOR_H

#include "http/http.h"

struct entity_tag {
    struct span opaque; /* with its quotes */
    bool is_weak;
};

/* `"..."` or `W/"..."`, nothing else: false. */
bool entity_tag_read(struct entity_tag *tag, struct span text);
/* The ETag of these fields; false: none that can be read. */
bool entity_tag_find(struct entity_tag *tag, const struct http_fields *fields);
bool entity_tags_equal_strong(const struct entity_tag *a, const struct entity_tag *b);
bool entity_tags_equal_weak(const struct entity_tag *a, const struct entity_tag *b);

/* The value of the first field of that name, or empty. */
struct span field_value(const struct http_fields *fields, enum http_name id);

#endif
