/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to src/tls: the part of the ClientHello that both ways of reading it share.
 */
#ifndef TLS_HELLO_H
#define TLS_HELLO_H

#include "tls/tls.h"

/* From the content of a server_name extension. 0 or ERROR_INVALID. */
MUST_USE int tls_hello_read_name(struct span extension, struct tls_hello *hello);

#endif
