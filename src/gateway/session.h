/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of requests (L9): what a request says of the server that it belongs to, and what its answer tells the client. Where no cookie
 * says it, the owner of the servers keeps a table. Also what keeps requests together without a session, and which of them need the original (L8).
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "conf/conf.h"
#include "http/http.h"

/* Of one request; a value that goes with its ticket. */
struct gateway_session {
    enum balance_session_kind kind; /* OFF also where the request has none */
    uint64_t key;                   /* in the table, or of policy `hash` */
    bool has_key;
    struct balance_session known; /* which server, as the cookie or the table says */
    enum balance_need need;
    bool changes; /* its method is not safe */
    uint32_t after_write_s;
};

/* Takes our cookie out of the head, so that origins do not see it. Each group of origins has its own. `now_s` is the wall clock. */
void gateway_session_read(const struct conf_site *site, const struct http_opening *opening,
                          struct http_head *head, uint64_t now_s, struct gateway_session *session);

/* Whether the owner has to remember it. */
bool gateway_session_is_remembered(const struct gateway_session *session);
/* On the owner's worker, before it chooses: what the table knows. `table` NULL: there is none. */
void gateway_session_find(struct gateway_session *session, struct balance_sessions *table,
                          uint64_t now_ns, uint64_t now_s);
/* Whether a server of that role, the session's own, may have this request: a mirror not what needs the original. */
bool gateway_session_may_use(const struct gateway_session *session, enum balance_role role);
/* The session's server from now on, when that one was chosen: another one than before, unless it was but for this request. */
uint64_t gateway_session_settle(const struct gateway_session *session, uint64_t identity,
                                enum balance_role role, bool is_own_usable);
/* Likewise on the owner's worker: it is that one from now on. */
void gateway_session_put(const struct gateway_session *session, struct balance_sessions *table,
                         uint64_t identity, uint64_t now_ns, uint64_t now_s);

/* Adds Set-Cookie to the final answer of that server, where the client does not know it yet; not to what caches may give to
 * others. 0 or ERROR_LIMIT. */
MUST_USE int gateway_session_tell(const struct gateway_session *session,
                                  const struct conf_site *site, const struct http_opening *opening,
                                  uint64_t identity, uint64_t now_s, struct http_head *answer);

/* What the answer to a request shows of how fresh its server is (L8). False: nothing. */
bool gateway_session_validator(const struct http_head *head, const struct http_head *answer,
                               uint64_t now_s, uint64_t *target,
                               struct balance_validator *validator);

#endif
