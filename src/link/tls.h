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

struct tls;         /* both roles, for all workers */
struct tls_session; /* of one connection; belongs to one thread at a time */

struct tls *tls_new(void); /* NULL: the library refuses; said in the log */
void tls_free(struct tls **freed);

struct tls_session *tls_session_new(struct tls *tls, int fd, bool is_client);
void tls_session_free(struct tls_session **freed); /* the descriptor stays open */

/* What these return: 0 or a number of bytes; ERROR_AGAIN, and *events says for what to wait; ERROR_CLOSED in all other cases. The program
 * ignores SIGPIPE. */
MUST_USE int tls_handshake(struct tls_session *session, uint32_t *events);
MUST_USE int tls_read(struct tls_session *session, uint8_t *out, uint32_t room, uint32_t *events);
MUST_USE int tls_write(struct tls_session *session, struct span bytes, uint32_t *events);

#endif
