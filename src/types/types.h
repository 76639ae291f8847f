/* SPDX-License-Identifier: Apache-2.0
 *
 * Request types (L7): what kind of work a request is, and what that kind costs at each server. A type is recognised by the site
 * owner's rules first, then by what requests of the same shape have cost, else by a guess at the head. Service time and size
 * of each (server, type) are kept as histograms that forget; expected completion at a server follows from them and from what is
 * under way there. Pure.
 */
#ifndef TYPES_TYPES_H
#define TYPES_TYPES_H

#include "base/arena.h"
#include "rules/rules.h"

/* Those that every site has; a site's own follow. */
// clang-format off
#define TYPES_LIST(X)                                             \
    X(STATIC, "static", "files and pages that lie ready")         \
    X(DYNAMIC, "dynamic", "pages that a program makes")           \
    X(DATABASE, "database", "small answers to questions that take long") \
    X(MULTIMEDIA, "multimedia", "films, sound and other large answers")
// clang-format on

enum types_builtin {
#define X(name, text, help) TYPES_##name,
    TYPES_LIST(X)
#undef X
        TYPES_BUILTIN
};

enum {
    TYPES_MOST = 16,      /* of a site, those that every site has included */
    TYPES_NAME_MOST = 32, /* bytes */
    TYPES_ALL = 255,      /* of a query for costs: whatever type */
};
#define TYPES_SERVER_ALL SIZE_MAX /* of a query for costs: whatever server */

/* ---- As the configuration states them (sites.X.types). Borrowed until the types are freed. ---- */

/* The first row whose conditions hold names the type; several rows may name the same. */
struct types_rule {
    const char *name;
    struct rules_match *match; /* NULL: a row that only says what follows of its type */
    int repeatable; /* enum rules_yes_no: whether requests may be sent twice; unsaid: as their method says */
};

struct types_settings {
    struct types_rule *list;
    size_t count;
    bool learns; /* true: what no rule recognises is judged by what its like has cost */
};

/* ---- Compiled, immutable, read by any thread ---- */

struct types;

/* NULL: there were complaints; `member` of each is the address of the member that is wrong. Conditions on what only an edge knows (TLS,
 * country, link, load) are refused: a gateway recognises types, too. */
struct types *types_compile(const struct types_settings *settings,
                            const struct rules_complaints *complaints);
void types_free(struct types **freed);
size_t types_count(const struct types *types); /* NULL: those that every site has */
const char *types_name(const struct types *types, uint8_t type);
/* The type of that name. 0 or ERROR_NOT_FOUND. */
MUST_USE int types_find(const struct types *types, const char *name, uint8_t *type);

/* ---- Recognising ---- */

/* What requests of one shape (method, path with its numbers taken out) have cost; one for each thread, for all sites. */
struct types_learner;
struct types_learner *types_learner_new(uint64_t seed); /* 384 KiB: 16384 shapes */
void types_learner_free(struct types_learner **freed);

enum types_by { TYPES_BY_RULE, TYPES_BY_LEARNING, TYPES_BY_GUESS };

struct types_found {
    uint8_t type;
    enum types_by by;
    bool is_repeatable; /* may be sent again: idempotent by its method, or declared so */
    bool
        is_hedgeable; /* may be sent to two servers at once: safe by its method, or declared repeatable */
    uint64_t shapes[2]; /* for types_learn(): itself, and its folder */
};

/* `types` NULL: those that every site has; `learner` NULL: nothing was learnt. `site` keeps sites apart: any number of its own. `facts` needs only
 * the head and the client. Allocates in `arena` where there are rules only. */
void types_recognise(const struct types *types, struct types_learner *learner,
                     struct rules_matcher *matcher, uint64_t site, const struct rules_facts *facts,
                     struct arena *arena, struct types_found *found);
/* It was answered in full, not by an error; `first_byte_ns` from its sending to the first byte of the answer (the rest depends on
 * the visitor's line). */
void types_learn(struct types_learner *learner, const struct types_found *found,
                 uint64_t first_byte_ns, uint64_t bytes, uint64_t now_ns);

/* ---- Costs: one table for each set of servers, used by one thread ---- */

struct types_costs;

struct types_costs *types_costs_new(void);
void types_costs_free(struct types_costs **freed);
/* Which servers there are, by identity: what is known of those that stay is kept, whatever their numbers were. */
void types_costs_set_servers(struct types_costs *costs, const uint64_t *identities, size_t count);
/* Types have other numbers now: what is known of type i is known of `to[i]`, or forgotten where that is TYPES_MOST. */
void types_costs_renumber(struct types_costs *costs, const uint8_t to[TYPES_MOST]);

/* The server's number, or TYPES_SERVER_ALL. Asking for one after another in their order costs nothing. */
size_t types_costs_find(struct types_costs *costs, uint64_t identity);

/* What one that was answered in full took. Not for failures: a server that refuses at once is not a fast one. */
void types_costs_add(struct types_costs *costs, size_t server, uint8_t type, uint64_t service_ns,
                     uint64_t bytes, uint64_t now_ns);

/* Of a server or TYPES_SERVER_ALL, of a type or TYPES_ALL. A pair of which little is known borrows from the type's mean everywhere, and from how
 * fast the server is with other types. 0: nothing at all is known. */
uint64_t types_costs_mean_ns(const struct types_costs *costs, size_t server, uint8_t type);
uint64_t types_costs_mean_bytes(const struct types_costs *costs, size_t server, uint8_t type);
/* `permille` 950: that 95 % take less; of what was measured there, nothing borrowed. `samples`: how many it rests on, as far as they
 * are remembered. 0: nothing is known. */
uint64_t types_costs_quantile_ns(const struct types_costs *costs, size_t server, uint8_t type,
                                 unsigned permille, uint32_t *samples);
uint64_t types_costs_quantile_bytes(const struct types_costs *costs, size_t server, uint8_t type,
                                    unsigned permille, uint32_t *samples);
/* What is under way at servers 0, 1 ..., as arrays by server. */
struct types_load {
    const uint32_t *pending[TYPES_MOST]; /* of each type; NULL: none of it anywhere */
    const uint32_t *all;                 /* of all types */
    const uint32_t *parallel;            /* what it works on at a time */
};

/* For each of the first `count` servers: when one more request of that type would be answered there. Where as many are under way as it works on at a
 * time, when they are done, and then itself; else itself, and a little for what is under way beside it. 0: nothing is known of anything. Of all at
 * once, since a choice asks for all of them. */
void types_costs_expected_ns(struct types_costs *costs, uint8_t type, const struct types_load *load,
                             size_t count, double *expected_ns);

#endif
