/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/rules: patterns, templates, conditions and the index.
 */
#ifndef RULES_PRIVATE_H
#define RULES_PRIVATE_H

#define PCRE2_CODE_UNIT_WIDTH 8

#include "base/prefix_tree.h"
#include "rules/rules.h"

#include <pcre2.h>

struct captures {
    struct span at[RULES_CAPTURES];
    size_t count;
};

struct rules_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    struct captures captures; /* of the path, else of the host */
    uint64_t seed;
    uint32_t steps;      /* of the expression that is tried, where it is interpreted */
    const char *failure; /* NULL: none; why a pattern could not be tried to its end */
};

/* ---- pattern.c: "/exact", "/prefix/" and "*", "*suffix", "a*b", "~ regex", "~* regex without case" */
enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_SUFFIX, PATTERN_GLOB, PATTERN_REGEX };

struct pattern {
    enum pattern_kind kind;
    struct span literal; /* of exact, prefix and suffix; what a glob or regex begins with */
    struct span ending;  /* of a glob */
    struct span *parts;  /* of a glob, between its stars */
    size_t part_count;
    pcre2_code *code;
};

/* NULL, or a sentence in `arena`. A regular expression is freed by pattern_clear(). */
const char *pattern_compile(struct arena *arena, const char *text, bool is_fast,
                            struct pattern *pattern);
void pattern_clear(struct pattern *pattern);
/* `captures` may be NULL. A regular expression past its limits sets matcher->failure and does not match. */
bool pattern_matches(const struct pattern *pattern, struct span subject,
                     struct rules_matcher *matcher, struct captures *captures);

/* ---- subject.c: a request as conditions see it */
struct subject {
    const struct rules_facts *facts;
    struct arena *arena;
    struct span path, query; /* the path decoded, without dot segments */
    bool had_dots;           /* there were some */
};
void subject_init(struct subject *subject, const struct rules_facts *facts, struct arena *arena);
/* Takes the next "name=value" off `rest`; false at the end. */
bool subject_next_parameter(const struct subject *subject, struct span *rest, struct span *name,
                            struct span *value);
bool subject_next_cookie(struct span *rest, struct span *name, struct span *value);

/* ---- template.c: texts with $1, $host ... */
enum variable {
    VARIABLE_LITERAL,
    VARIABLE_CAPTURE,
    VARIABLE_HOST,
    VARIABLE_PATH,
    VARIABLE_QUERY,
    VARIABLE_TARGET,
    VARIABLE_SCHEME,
    VARIABLE_CLIENT,
    VARIABLE_COUNTRY,
};
enum template_use { TEMPLATE_TARGET, TEMPLATE_VALUE }; /* captures are encoded in targets */

struct piece {
    enum variable variable;
    uint32_t capture; /* from 0 */
    struct span literal;
};

struct template
{
    struct piece *pieces;
    size_t count;
    bool has_query; /* says itself what the query is */
};

const char *template_compile(struct arena *arena, const char *text, struct template *template);
/* False: longer than RULES_EXPANDED_BYTES. */
bool template_expand(const struct template *template, enum template_use use,
                     const struct subject *subject, const struct captures *captures,
                     struct span *out);

/* ---- condition.c */
enum condition_kind { /* in the order in which they are tried: cheap ones first */
                      CONDITION_METHOD,
                      CONDITION_TLS,
                      CONDITION_CERTIFICATE,
                      CONDITION_RTT,
                      CONDITION_LOSS,
                      CONDITION_LOAD,
                      CONDITION_COUNTRY,
                      CONDITION_HOST,
                      CONDITION_PATH,
                      CONDITION_CLIENT,
                      CONDITION_TLS_VERSION,
                      CONDITION_SERVER_NAME,
                      CONDITION_HEADER,
                      CONDITION_QUERY,
                      CONDITION_COOKIE,
                      CONDITION_PARAMETER,
                      CONDITION_ALL,
                      CONDITION_ANY,
                      CONDITION_NONE,
};

struct condition {
    enum condition_kind kind;
    uint32_t method_mask;     /* bit for each enum http_method; other words are texts */
    struct rules_texts texts; /* methods, versions */
    struct span name;         /* of a header, cookie or parameter */
    enum http_name id;        /* of a header */
    struct pattern *patterns; /* one of them */
    size_t pattern_count;
    const struct rules_networks *networks;
    struct prefix_tree *tree; /* of many networks; NULL: they are few */
    const uint16_t *countries;
    size_t country_count;
    uint64_t above; /* us, ppm or percent */
    bool wanted;
    struct condition *inner; /* conjunctions, of ALL, ANY and NONE; or members of a conjunction */
    size_t inner_count;
};

bool condition_holds(const struct condition *condition, const struct subject *subject,
                     struct rules_matcher *matcher);

/* ---- compile.c */
struct edit_source {
    enum rules_edit_kind kind;
    struct span name;
    struct template value;
};

enum part {
    PART_HEADER,
    PART_COOKIE,
    PART_PARAMETER,
    PART_CLIENT,
    PART_NETWORK,
    PART_PATH,
    PART_COUNTRY,
    PART_HOST,
    PART_SITE
};
struct key_part {
    enum part part;
    struct span name;
    enum http_name id;
};

struct compiled {
    struct condition root; /* a conjunction */
    struct template rewrite, location;
    struct edit_source *request, *response;
    size_t request_count, response_count;
    struct key_part *parts;
    size_t part_count;
    uint64_t limit_seed;
    bool is_last; /* an answer, or stop */
};

struct index;

struct rules {
    struct arena arena;
    const struct rules_rule *list;
    struct compiled *compiled;
    size_t count;
    struct index *index;
    bool asks_for_link, asks_for_load, asks_for_country;
    struct pattern **regexes; /* to be freed, as are the trees */
    size_t regex_count, regex_capacity;
    struct prefix_tree **trees;
    size_t tree_count, tree_capacity;
};

/* Splits "header:NAME", "cookie:NAME", "client" ... ; NULL, or a sentence. */
const char *key_part_parse(struct arena *arena, const char *text, struct key_part *part);

/* ---- decide.c */
/* What the request has there; the client's address is unmapped. Empty: nothing. */
struct span key_part_value(const struct key_part *part, const struct subject *subject,
                           const struct address *client);

/* ---- index.c */
enum { RULES_WORDS = RULES_LIMIT / 64, RULES_SUMMARY = RULES_WORDS / 64 };

/* Rules that a request may fulfil; words are only valid where their bit of the summary is set. */
struct candidates {
    uint64_t summary[RULES_SUMMARY];
    uint64_t words[RULES_WORDS];
};

struct index *index_new(const struct rules *rules, struct arena *arena);
void index_free(struct index **freed);
void index_find(const struct index *index, const struct subject *subject,
                struct candidates *candidates);

#endif
