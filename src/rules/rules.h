/* SPDX-License-Identifier: Apache-2.0
 *
 * The site owner's rules (L10, S8): an ordered list, each with conditions on the request and with what to do. Pure: what is known of
 * a request goes in, a decision comes out.
 *
 * What holds (docs/rules.md): conditions see the request as it came, whatever earlier rules changed. From the first rule to the last,
 * each one whose conditions hold does what it says. Settings accumulate: a later one replaces an earlier one of the same kind,
 * changes of fields follow one another, and every rate limit counts. The first rule with an answer (redirect, block, answer, files)
 * and the first with `stop` is the last that is looked at.
 *
 * Compiled once for each snapshot. A request only meets rules that its path, host, fields, cookies, parameters or network may
 * fulfil (index.c), so thousands of rules cost what those few cost.
 */
#ifndef RULES_RULES_H
#define RULES_RULES_H

#include "base/address.h"
#include "base/arena.h"
#include "base/text.h"
#include "http/http.h"

enum {
    RULES_LIMIT = 16384,     /* rules of a site */
    RULES_MATCHED_MOST = 64, /* rules that may act on one request; more than these are an error */
    RULES_CAPTURES = 9,      /* $1 to $9 */
    RULES_PATTERN_BYTES = 1024,  /* longest pattern */
    RULES_TEMPLATE_BYTES = 4096, /* longest text with $1 */
    RULES_EXPANDED_BYTES = 8192, /* longest target, location or value that comes of one */
    RULES_REGEX_STEPS = 20000, /* of one regular expression for one request (PCRE2's match limit) */
    RULES_REGEX_CALLOUTS = 1000000, /* the same from all its beginnings, where it is interpreted */
    RULES_REGEX_DEPTH = 1000,       /* of its backtracking */
    RULES_REGEX_HEAP_KIB = 1024,    /* and its memory */
    RULES_NESTED_MOST = 32,         /* conditions within conditions */
};

/* ---- Rules as the configuration states them. Everything is borrowed until the compiled rules are freed. ---- */

struct rules_texts {
    const char **items;
    size_t count;
};

struct rules_networks {
    struct network *items;
    size_t count;
};

/* "Name: [pattern, pattern]" */
struct rules_pair {
    const char *name;
    struct rules_texts values;
};

struct rules_pairs {
    struct rules_pair *items;
    size_t count;
};

enum rules_yes_no { RULES_UNSAID, RULES_YES, RULES_NO };

/* All of what is stated must hold; of several values of one, any. */
struct rules_match {
    struct rules_texts methods, hosts, paths, queries;
    struct rules_pairs parameters, headers, cookies;
    struct rules_networks clients;
    struct rules_texts countries;
    struct rules_texts tls_versions, server_names;
    int tls, certificate; /* enum rules_yes_no */
    uint64_t rtt_above_ns;
    uint32_t loss_above_percent, load_above_percent; /* 0: not stated */
    struct rules_match *all, *any, *none;
    size_t all_count, any_count, none_count;
};

enum rules_priority {
    RULES_PRIORITY_UNSAID,
    RULES_PRIORITY_URGENT, /* ring 0 */
    RULES_PRIORITY_HIGH,
    RULES_PRIORITY_NORMAL,
    RULES_PRIORITY_LOW,
    RULES_PRIORITY_BACKGROUND,
};

/* The session of the request has that priority from its answer on. */
struct rules_session_class {
    int priority; /* enum rules_priority */
    uint64_t for_ns;
};

struct rules_cache {
    uint64_t ttl_ns;                 /* 0: not stated */
    struct rules_texts ignore_query; /* patterns of parameter names */
    struct rules_texts key;          /* further parts: header:NAME, cookie:NAME, country */
    int store_cookies, bypass;       /* enum rules_yes_no */
};

struct rules_changes {
    struct rules_pairs set, add;
    struct rules_texts remove;
};

/* Requests of one key: `requests` in each `per_ns`, and `burst` at once. */
struct rules_limit {
    uint32_t requests;
    uint64_t per_ns;
    uint32_t burst; /* 0: as many as `requests` */
    struct rules_texts by;
};

struct rules_redirect {
    const char *to;
    uint32_t status;
};

struct rules_block {
    uint32_t status;
    const char *page; /* NULL: the usual one */
};

struct rules_answer {
    uint32_t status;
    const char *type, *body; /* body NULL: none */
};

struct rules_files {
    const char *root, *index, *strip; /* strip NULL: nothing */
};

struct rules_rule {
    const char *name;          /* NULL: "rule N" */
    struct rules_match *match; /* NULL: every request */
    /* settings */
    int priority; /* enum rules_priority */
    struct rules_session_class *session_class;
    struct rules_cache *cache;
    int encode; /* enum rules_yes_no: whether content is encoded for clients */
    struct rules_changes *request, *response;
    int server_timing;   /* enum rules_yes_no */
    const char *rewrite; /* a target */
    const char *origins; /* name of a group */
    struct rules_limit *limit;
    /* answers */
    struct rules_redirect *redirect;
    struct rules_block *block;
    struct rules_answer *answer;
    struct rules_files *files;
    bool stop;
};

/* ---- Compiling ---- */

struct rules;

/* `member` is the address of the member of the rules that is wrong. */
struct rules_complaints {
    void (*add)(void *argument, const void *member, const char *sentence);
    void *argument;
};

/* NULL: there were complaints. `site` keeps the rate limits of sites apart; `is_fast`: regular expressions become machine code where
 * the system allows it. */
struct rules *rules_compile(const struct rules_rule *list, size_t count, const char *site,
                            bool is_fast, const struct rules_complaints *complaints);
void rules_free(struct rules **freed);
size_t rules_count(const struct rules *rules); /* 0 for NULL */
const struct rules_rule *rules_at(const struct rules *rules, size_t index);
bool rules_ask_for_link(const struct rules *rules); /* whether rtt_us and loss_ppm matter */
bool rules_ask_for_load(const struct rules *rules); /* whether load_percent matters */
bool rules_ask_for_country(const struct rules *rules);

/* ---- Deciding ---- */

#define RULES_UNKNOWN UINT32_MAX

/* What is known of a request. Facts that are not known match nothing. */
struct rules_facts {
    const struct http_head *head; /* as it came */
    struct address client;
    uint8_t country[2];                   /* "DE"; zeroes: not known */
    bool is_tls, has_certificate;         /* that was verified */
    struct span tls_version, server_name; /* "1.3"; empty: not known */
    uint32_t rtt_us, loss_ppm; /* of the best link to a gateway of the site, or RULES_UNKNOWN */
    uint32_t load_percent;     /* of the site, or RULES_UNKNOWN */
};

/* Room for regular expressions; one for each thread. `seed` is the same in all that share buckets, and nobody else's: it keeps
 * strangers from finding values whose rate limits are one. */
struct rules_matcher;
struct rules_matcher *rules_matcher_new(uint64_t seed);
void rules_matcher_free(struct rules_matcher **freed);

enum rules_outcome {
    RULES_PASS,     /* on to the cache and the link */
    RULES_REDIRECT, /* `status`, `location` */
    RULES_BLOCK,    /* `status`, by->block->page */
    RULES_ANSWER,   /* `status`, by->answer */
    RULES_FILES,    /* by->files, `path` */
    RULES_FAILED,   /* `cause`: nothing may be said of the request; 500 */
};

enum rules_edit_kind { RULES_EDIT_SET, RULES_EDIT_ADD, RULES_EDIT_REMOVE };
struct rules_edit {
    enum rules_edit_kind kind;
    struct span name, value;
};

struct rules_edits {
    struct rules_edit *list;
    size_t count, capacity;
};

/* A token to be taken from the bucket of this key. */
struct rules_toll {
    const struct rules_limit *limit;
    uint64_t key;
};

/* Pointers into the rules last as long as these; spans and edits live in the arena. */
struct rules_decision {
    enum rules_outcome outcome;
    unsigned status;
    const char *cause;
    const struct rules_rule *by;  /* of an answer; NULL: none */
    struct span location, target; /* target: rewritten; empty: as it came */
    struct span path;             /* decoded, without dot segments: as conditions saw it */
    int priority;                 /* ring; -1: as the site's */
    int session_class;            /* ring; -1: the session is not marked */
    uint64_t session_class_ns;    /* for so long */
    struct rules_cache cache;     /* members that nobody stated are zero */
    int encode;                   /* enum rules_yes_no */
    const char *origins;          /* NULL: any */
    int server_timing;            /* enum rules_yes_no */
    struct rules_edits request, response;
    struct rules_toll *tolls;
    size_t toll_count;
    uint16_t matched[RULES_MATCHED_MOST];
    size_t matched_count;
    size_t considered; /* rules that the index let through */
};

/* `rules` may be NULL: no rules. */
void rules_decide(const struct rules *rules, struct rules_matcher *matcher,
                  const struct rules_facts *facts, struct arena *arena,
                  struct rules_decision *decision);

/* Applies the edits. 0 or an error of http_fields_*(). */
MUST_USE int rules_edit_fields(struct http_fields *fields, const struct rules_edits *edits);

/* Which stored answers a request may have, by a decision's cache.ignore_query, cache.key and origins. Facts are those of the request as it
 * goes on: rewritten, its fields changed. */

/* The target without the parameters that make no difference; the order of the others counts. */
struct span rules_cache_target(const struct rules_decision *decision,
                               const struct rules_facts *facts, struct arena *arena);
/* Appends what makes a difference beyond the URL; nothing where nothing does. */
void rules_cache_part(const struct rules_decision *decision, const struct rules_facts *facts,
                      struct arena *arena, struct text *part);

/* What a rule does, one line for each of its actions; for people. */
void rules_describe(const struct rules_rule *rule, struct text *lines);
const char *rules_outcome_name(enum rules_outcome outcome);

/* ---- Rate limits: buckets that all workers share (bucket.c) ---- */

struct rules_buckets;

/* `sets` is rounded up to a power of two; a set holds 4 keys in 64 bytes. */
struct rules_buckets *rules_buckets_new(size_t sets);
void rules_buckets_free(struct rules_buckets **freed);
/* Any thread. 0: a token was there. Else the nanoseconds until one is. */
uint64_t rules_buckets_take(struct rules_buckets *buckets, const struct rules_toll *toll,
                            uint64_t now_ns);
uint64_t rules_buckets_evicted(
    const struct rules_buckets *buckets); /* keys that had to go before they were idle */

#endif
