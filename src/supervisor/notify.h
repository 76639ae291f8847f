/* SPDX-License-Identifier: Apache-2.0
 *
 * The notification protocol of systemd (sd_notify(3)), without its library.
 */
#ifndef SUPERVISOR_NOTIFY_H
#define SUPERVISOR_NOTIFY_H

#include <stdint.h>

/* Remembers NOTIFY_SOCKET and WATCHDOG_USEC and takes them out of the environment. */
void notify_init(void);
void notify_export(
    void); /* into the environment again, for a program that is executed in our place */
void notify_send(const char *state); /* nothing without a socket; never blocks */
uint64_t
notify_watchdog_ns(void); /* how often to ping: half of what the manager allows; 0: not wanted */

#endif
