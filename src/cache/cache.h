/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared cache of an edge (C1, C2). Two halves that know little of each other:
 *
 *   judging   what HTTP says: RFC 9111, 5861 (stale), 8246 (immutable), 9211 (Cache-Status), 9213 (targeted control),
 *             and of RFC 9110 conditions and ranges. Pure functions over heads, facts and the time.
 *   keeping   memory and disk, eviction, fills in progress. Knows keys, heads and bytes, and nothing of what they mean.
 *
 * What of a response decides about later requests is read once, when it comes in, and kept as `struct cache_facts`: a hit costs
 * a few comparisons. docs/cache-conformance.md names the test for each sentence of those documents.
 *
 * Times here are whole seconds since 1970 (`_s`), as HTTP counts.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/text.h"
#include "http/http.h"

enum {
    CACHE_KEY_MOST = 10 * 1024, /* bytes of a key */
    CACHE_VARY_MOST =
        8 * 1024, /* bytes of a variant: what a request has in the fields that Vary names */
    CACHE_VARY_NAMES_MOST = 16,  /* more of them are taken for `Vary: *` */
    CACHE_RANGES_MOST = 16,      /* a request for more gets everything */
    CACHE_INVALID_MOST = 3,      /* keys that one answer to an unsafe request makes invalid */
    CACHE_BOUNDARY_BYTES = 24,   /* of multipart/byteranges */
    CACHE_PART_HEAD_MOST = 1024, /* bytes between two parts of it */
    CACHE_STATUS_MOST = 512,     /* bytes of a Cache-Status member */
};

/* RFC 9111 section 1.2.2: what is longer counts as this. */
#define CACHE_SECONDS_MOST 2147483648u
/* A number of seconds that nobody gave. */
#define CACHE_SECONDS_NONE UINT32_MAX

/* ---- A site's policy ---- */

enum cache_cookies {
    CACHE_COOKIES_REFUSE, /* an answer with Set-Cookie is not stored */
    CACHE_COOKIES_STRIP,  /* it is stored without */
    CACHE_COOKIES_KEEP,   /* it is stored with it: everybody gets the same cookie */
};

struct cache_policy {
    enum cache_cookies cookies;
    bool ignores_requests; /* Cache-Control and Pragma of requests do not count, but for no-store */
    uint32_t heuristic_most_s; /* bound of 10 % of the time since Last-Modified; 0: no heuristics */
    uint32_t lifetime_s;      /* instead of what the origin says, where it may be stored; or NONE */
    uint32_t lifetime_most_s; /* bound of every lifetime */
    uint32_t while_revalidate_s; /* where the origin says nothing of it */
    uint32_t if_error_s;         /* likewise */
};

/* No cookies, heuristics of at most a day, lifetimes of at most a year, no staleness but by the origin's word. */
extern const struct cache_policy cache_policy_default;

/* ---- Keys ---- */

/* "SITE https://host[:port]/path?query": what a response is stored under. A port that is not the scheme's own counts, so that
 * nobody stores redirects to ports of his choice for others. `target` is as rewritten. Appends to `key`;
 * ERROR_LIMIT past CACHE_KEY_MOST, ERROR_INVALID where there is no host or no path. */
MUST_USE int cache_key_make(struct text *key, struct span site, bool is_https, struct span host,
                            uint16_t port, struct span target);

struct cache_url {
    bool is_https;
    struct span host; /* as keys have it */
    uint16_t port;    /* 0: the scheme's */
    struct span target;
};
/* "https://Host[:port]/path?query", of people who name what is to be purged; parts of it are in `text` or in `arena`. ERROR_INVALID: this is no such URL. */
MUST_USE int cache_url_read(struct cache_url *url, struct arena *arena, struct span text);

/* The names of the response's Vary fields, lower case, sorted, each once: "accept-encoding,cookie". Empty: none. Appends to
 * `names`. ERROR_UNSUPPORTED: `*`, or too many; such a response matches no request and is not stored. */
MUST_USE int cache_vary_names(struct text *names, const struct http_fields *response);

/* What a request has in these fields, in one form for everything that means the same (RFC 9111 section 4.1). Two requests
 * select the same stored response if their variants are equal bytes. Appends to `variant`; empty where `names` is. ERROR_LIMIT
 * past CACHE_VARY_MOST: nothing matches, nothing is stored. */
MUST_USE int cache_vary_variant(struct text *variant, struct span names,
                                const struct http_fields *request);

/* ---- Requests ---- */

enum cache_route {
    CACHE_ROUTE_LOOKUP,     /* the store may answer */
    CACHE_ROUTE_PASS,       /* goes by the cache: neither answered nor stored */
    CACHE_ROUTE_INVALIDATE, /* goes by, and its answer may make stored responses invalid */
};

/* What a request asks of a cache, read once. */
struct cache_ask {
    enum cache_route route;
    uint32_t max_age_s, min_fresh_s, max_stale_s,
        if_error_s; /* NONE where not given; max-stale without a value is SECONDS_MOST */
    bool no_store, no_cache, only_if_cached;
    bool is_head;
    bool has_authorization;
    bool has_range;      /* Range, and the method is GET */
    bool has_conditions; /* If-None-Match or If-Modified-Since: a cache may answer them */
    bool
        is_for_origin; /* If-Match or If-Unmodified-Since: only the origin may answer (RFC 9111 section 4.3.2) */
};

void cache_ask_read(struct cache_ask *ask, const struct cache_policy *policy,
                    const struct http_head *request);

/* ---- Responses ---- */

/* name, text. Why a response is not stored: label of a counter, detail of Cache-Status. */
// clang-format off
#define CACHE_REFUSAL_LIST(X) \
    X(NONE,          "stored") \
    X(METHOD,        "answers to this method are not stored") \
    X(STATUS,        "this status is not stored") \
    X(REQUEST,       "the request says no-store") \
    X(NO_STORE,      "no-store") \
    X(PRIVATE,       "private") \
    X(AUTHORIZATION, "the request has credentials") \
    X(SET_COOKIE,    "sets a cookie") \
    X(VARY,          "varies in too much") \
    X(NOT_UNDERSTOOD, "must-understand, and the status is not") \
    X(PARTIAL,       "a part that cannot be combined") \
    X(USELESS,       "neither fresh nor to be validated") \
    X(KEY,           "its key is too long") \
    X(FIELDS,        "too many fields")
// clang-format on

enum cache_refusal {
#define X(name, text) CACHE_REFUSAL_##name,
    CACHE_REFUSAL_LIST(X)
#undef X
        CACHE_REFUSAL_COUNT
};

const char *cache_refusal_name(enum cache_refusal refusal); /* "no-store", for counters */

enum {
    CACHE_NO_CACHE = 1 << 0,        /* never without validation */
    CACHE_MUST_REVALIDATE = 1 << 1, /* never stale: must-revalidate, proxy-revalidate */
    CACHE_SHARED_LIMIT = 1 << 2,    /* s-maxage: stale only by an explicit stale-* directive */
    CACHE_IMMUTABLE = 1 << 3,
    CACHE_HEURISTIC = 1 << 4,   /* nobody said how long */
    CACHE_ETAG = 1 << 5,        /* has one */
    CACHE_ETAG_STRONG = 1 << 6, /* which is strong */
    CACHE_MODIFIED_STRONG =
        1 << 7,             /* Last-Modified is a strong validator (RFC 9110 section 8.8.2.2) */
    CACHE_PARTIAL = 1 << 8, /* bytes first to last of the representation only */
    CACHE_INVALID = 1 << 9, /* by an unsafe request or a soft purge: never without validation */
    CACHE_STALE_WHILE_BY_ORIGIN = 1 << 10, /* stale-while-revalidate is the origin's word */
    CACHE_STALE_ERROR_BY_ORIGIN = 1 << 11, /* stale-if-error likewise */
    CACHE_SLICED = 1 << 12, /* no content: that is stored in slices, each under a key of its own */
};

/* All that decides about later requests. Plain numbers: it may be copied, and written to disk. */
struct cache_facts {
    uint64_t response_s;    /* when the head came in, or was last freshened */
    uint64_t date_s;        /* Date, else response_s */
    uint64_t modified_s;    /* Last-Modified; 0: none that can be read */
    uint32_t initial_age_s; /* at response_s (RFC 9111 section 4.2.3) */
    uint32_t lifetime_s;    /* from when its age was 0 */
    uint32_t while_revalidate_s, if_error_s;
    uint16_t status; /* 200 also where it came as 206 */
    uint16_t flags;
    uint32_t slice_bytes; /* with CACHE_SLICED, else 0: no padding that could hold anything */
    uint64_t length;      /* bytes of the whole representation; UINT64_MAX: not known yet */
    uint64_t first, last; /* with CACHE_PARTIAL */
    uint64_t content;     /* a number of it alone, the caller's: a 304 keeps it; 0: it has none */
};

/* May this response be stored, and what is there to remember? `request` is as it was sent to the origin, `request_s` when.
 * NONE, or why not; `facts` are filled in either way. The content must still arrive whole. */
enum cache_refusal cache_response_judge(struct cache_facts *facts,
                                        const struct cache_policy *policy,
                                        const struct http_head *request,
                                        const struct http_head *response, uint64_t request_s,
                                        uint64_t response_s);

/* Appends the fields of a response that may be stored (RFC 9111 section 3.1) to `stored`: no connection's own, none that private
 * or no-cache name, no Set-Cookie but by the policy, no Age; Date is there in the end. */
MUST_USE int cache_response_fields(struct http_fields *stored, const struct cache_policy *policy,
                                   const struct http_fields *response, uint64_t response_s);

/* This answer is now one client's: what speaks to shared caches alone (RFC 9213, Surrogate-Control) goes, as it would count in
 * place of Cache-Control, which says `private` besides. */
MUST_USE int cache_make_private(struct http_fields *answer);

/* The stored fields as bytes, appended to `out`; ERROR_LIMIT where one is longer than 65535. Unpacked they borrow from the bytes, but
 * for the list itself. ERROR_INVALID: these were never packed. */
MUST_USE int cache_head_pack(struct text *out, const struct http_fields *stored);
MUST_USE int cache_head_unpack(struct http_fields *fields, struct arena *arena, struct span packed);

/* ---- A stored response and a request ---- */

enum cache_use {
    CACHE_USE_ANSWER,   /* answer with it */
    CACHE_USE_REFRESH,  /* answer with it, and validate it behind the client's back */
    CACHE_USE_VALIDATE, /* ask the origin whether it is still right */
    CACHE_USE_FORWARD,  /* it is of no use: forward the request */
    CACHE_USE_REFUSE,   /* 504: only-if-cached */
};

/* Why a request goes to the origin: the `fwd` of Cache-Status (RFC 9211 section 2.2). */
// clang-format off
#define CACHE_FORWARD_LIST(X) \
    X(NONE, "") X(BYPASS, "bypass") X(METHOD, "method") X(URI_MISS, "uri-miss") X(VARY_MISS, "vary-miss") X(MISS, "miss") \
    X(REQUEST, "request") X(STALE, "stale") X(PARTIAL, "partial")
// clang-format on

enum cache_forward {
#define X(name, text) CACHE_FORWARD_##name,
    CACHE_FORWARD_LIST(X)
#undef X
};

struct cache_judgement {
    enum cache_use use;
    enum cache_forward why; /* with VALIDATE and FORWARD; with REFRESH of the refresh */
    bool
        may_answer_for_errors; /* with VALIDATE: where the origin fails, it may answer all the same (RFC 5861 section 4) */
    bool is_stale;
    uint32_t age_s; /* RFC 9111 section 4.2.3: the Age to answer with */
    int64_t ttl_s;  /* freshness left; negative: stale since */
};

/* `facts` NULL: nothing is stored under the key, or no variant matches (`why` is then the caller's to refine). */
struct cache_judgement cache_judge(const struct cache_facts *facts, const struct cache_ask *ask,
                                   uint64_t now_s);

/* Whether a status is an error that stale-if-error covers (500, 502, 503, 504). */
bool cache_status_is_error(unsigned status);

struct cache_range {
    uint64_t first, last; /* both inclusive */
};

/* What of a stored response answers a request. */
struct cache_answer {
    uint16_t status;  /* the stored one, 206, 304 or 416 */
    bool has_content; /* not with HEAD, 304, 416 */
    bool is_multipart;
    uint32_t count; /* ranges; 0: everything */
    struct cache_range ranges[CACHE_RANGES_MOST];
    uint64_t content_length; /* of the answer; UINT64_MAX: not known yet */
    char boundary[CACHE_BOUNDARY_BYTES + 1];
};

/* Conditions, then ranges (RFC 9110 section 13.2.2, RFC 9111 section 4.3.2). `stored` are the stored fields. 0; or ERROR_NOT_FOUND:
 * what it asks for is not among what is stored, forward the request. While a fill of unknown length goes on, ranges are not
 * looked at. `seed` makes the boundary. */
MUST_USE int cache_answer_choose(struct cache_answer *answer, const struct cache_ask *ask,
                                 const struct http_head *request, const struct cache_facts *facts,
                                 const struct http_fields *stored, uint64_t seed);

/* Makes `head` (initialised, fields in its own arena) the head of that answer: status, fields, Age, body and content_length. The
 * caller adds Via, Cache-Status and frames it. Stored fields are borrowed: their bytes outlive the head. */
MUST_USE int cache_answer_head(struct http_head *head, const struct cache_answer *answer,
                               const struct cache_judgement *judgement,
                               const struct cache_facts *facts, const struct http_fields *stored);

/* What stands before range `index` of a multipart answer; behind the last one for index == count. Its length is counted in
 * content_length. */
struct span cache_answer_part_head(const struct cache_answer *answer, uint32_t index,
                                   const struct cache_facts *facts,
                                   const struct http_fields *stored,
                                   char out[CACHE_PART_HEAD_MOST]);

/* ---- Validation ---- */

/* Makes `request`, a copy of the client's, ask whether the stored response is still right (RFC 9111 section 4.3.1): its own
 * conditions and Range are removed. False: there is no validator, the request then asks for everything. */
bool cache_validation_ask(struct http_fields *request, const struct http_fields *stored);

/* Whether a 304, or an answer to HEAD, is about this stored response (sections 4.3.4 and 4.3.5). */
bool cache_validation_matches(const struct http_head *answer, const struct cache_facts *facts,
                              const struct http_fields *stored);

/* The stored response as such a 304 (or answer to HEAD) updates it (section 3.2): its fields are appended to `updated`, and
 * `facts` judged anew; the content stays. NONE, or why it may not be stored any more. */
enum cache_refusal cache_validation_freshen(struct cache_facts *facts, struct http_fields *updated,
                                            const struct cache_policy *policy,
                                            const struct http_head *request,
                                            const struct http_head *answer,
                                            const struct http_fields *stored, uint64_t request_s,
                                            uint64_t response_s);

/* ---- Partial content (RFC 9111 section 3.4) ---- */

/* Whether the two are of one representation, by a strong validator, and touch or overlap. */
bool cache_parts_combine(const struct cache_facts *a, const struct http_fields *a_stored,
                         const struct cache_facts *b, const struct http_fields *b_stored);
/* The facts of both together: the newer one's, the range of both, no more partial where that is everything. Its content: the
 * bytes of `newer` where it has them, else of `older`. */
void cache_parts_facts(struct cache_facts *both, const struct cache_facts *older,
                       const struct cache_facts *newer);
/* The fields of both, appended to `both`: the older one's, where the newer one's response does not replace them (section 3.2). */
MUST_USE int cache_parts_fields(struct http_fields *both, const struct cache_policy *policy,
                                const struct http_fields *older,
                                const struct http_fields *newer_response);

/* ---- Slices: a large representation, asked for and stored in pieces of one size ----
 *
 * Its *index* is a stored response without content, which is judged, validated, purged like others; slices are looked for under a key that the
 * index alone knows. So a purge of the index is one of everything, however many slices there are.
 */

/* Makes the index of what `part` is about. False: its length is not known, or it has no strong validator: slices could not be told to
 * belong together. `series` is a number that no other index of this key had: its content's. */
bool cache_slices_index(struct cache_facts *index, const struct cache_facts *part,
                        uint32_t slice_bytes, uint64_t series);
/* Where that slice begins and ends; `number` times slice_bytes is below the length. */
struct cache_range cache_slice_range(const struct cache_facts *index, uint64_t number);
/* What it is stored under. */
MUST_USE int cache_slice_key(struct text *key, struct span name, const struct cache_facts *index,
                             uint64_t number);
/* Makes a request ask for a range, and nothing else. With `stored`: of that representation only (If-Match, If-Unmodified-Since). */
MUST_USE int cache_slice_ask(struct http_fields *request, const struct cache_range *range,
                             const struct http_fields *stored);
/* Whether the answer is this slice of this representation. */
bool cache_slice_matches(const struct http_head *answer, const struct cache_facts *index,
                         const struct http_fields *stored, uint64_t number);
/* Where the first range that a request asks for begins; 0 where that cannot be told without the length. */
uint64_t cache_range_begin(const struct http_head *request);

/* ---- Invalidation (section 4.4) ---- */

struct cache_invalid {
    size_t count;
    struct text keys[CACHE_INVALID_MOST];
};

/* The keys that an answer to a request with route INVALIDATE makes invalid: its own, and those of Location and
 * Content-Location on the same origin. All variants of them. */
void cache_invalid_find(struct cache_invalid *invalid, struct span site, bool is_https,
                        const struct http_head *request, const struct http_head *answer);
void cache_invalid_clear(struct cache_invalid *invalid);

/* ---- Cache-Status (RFC 9211) ---- */

struct cache_status {
    struct span cache;       /* this node's name */
    bool is_hit;             /* else forwarded */
    enum cache_forward why;  /* NONE with a hit */
    unsigned forward_status; /* of the origin's answer, where it differs from ours; 0: none */
    bool is_stored, is_collapsed;
    bool has_ttl;
    int64_t ttl_s;
    struct span detail; /* a token or a text; empty: none */
};

/* One member of the list; valid as long as `out`. */
struct span cache_status_write(const struct cache_status *status, char out[CACHE_STATUS_MOST]);

#endif
