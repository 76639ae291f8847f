/* SPDX-License-Identifier: Apache-2.0
 *
 * What storing a response and freshening it have in common. Private to src/cache.
 */
#ifndef CACHE_RESPONSE_H
#define CACHE_RESPONSE_H

#include "cache/cache.h"

/* As cache_response_judge(), of a complete response or of one that a 304 has updated: `age` are the fields that may have an Age. */
enum cache_refusal response_judge(struct cache_facts *facts, const struct cache_policy *policy,
                                  const struct http_fields *request, unsigned status,
                                  const struct http_fields *fields, const struct http_fields *age,
                                  uint64_t request_s, uint64_t response_s);

/* Whether a field of a response is kept in the store. `directives_of` are the fields whose directives count. */
struct directives;
bool response_keeps_field(const struct http_field *field, const struct cache_policy *policy,
                          const struct directives *directives,
                          const struct http_fields *directives_of);

#endif
