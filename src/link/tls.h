/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/link: TLS 1.3 around the carriage over TCP (tcp.c). It is there so that middleboxes see what they expect on such ports, not
 * for secrecy: the link's packets are encrypted and authenticated by themselves. So neither end is authenticated here; the
 * server's certificate is made at start, and nobody looks at it.
 */
#ifndef LINK_TLS_H
#define LINK_TLS_H

#include "base/error.h"
#include "base/span.h"

struct link_tls;         /* both roles, for all workers */
struct link_tls_session; /* of one connection; belongs to one thread at a time */

struct link_tls *link_tls_new(void); /* NULL: the library refuses; said in the log */
void link_tls_free(struct link_tls **freed);

struct link_tls_session *link_tls_session_new(struct link_tls *tls, int fd, bool is_client);
void link_tls_session_free(struct link_tls_session **freed); /* the descriptor stays open */

/* What these return: 0 or a number of bytes; ERROR_AGAIN, and *events says for what to wait; ERROR_CLOSED in all other cases. The program
 * ignores SIGPIPE. */
MUST_USE int link_tls_handshake(struct link_tls_session *session, uint32_t *events);
MUST_USE int link_tls_read(struct link_tls_session *session, uint8_t *out, uint32_t room,
                           uint32_t *events);
MUST_USE int link_tls_write(struct link_tls_session *session, struct span bytes, uint32_t *events);

#endif
