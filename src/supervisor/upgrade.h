/* SPDX-License-Identifier: Apache-2.0
 *
 * Another program file takes over (USR2): the supervisor executes it in its own place, so that its process id, its children and
 * its descriptors stay. What it knew goes along in a memfd. The children of before, now elders, serve until their successors
 * are ready, and then finish what is under way.
 *
 *   USR2 --> `PROGRAM run --check` --> a gateway leaves --> execve(PROGRAM run) --> descriptors and elders taken --> children started
 *                    |                        |                       | cannot start
 *                    v                        v                       v
 *              the old one goes on      the old one goes on     the old file is executed again
 */
#ifndef SUPERVISOR_UPGRADE_H
#define SUPERVISOR_UPGRADE_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <sys/types.h>

struct bundle;
struct conf;
struct supervisor;

/* How this process is executed again; at the start. */
void upgrade_init(struct supervisor *supervisor);
void upgrade_clear(struct supervisor *supervisor);

void upgrade_begin(struct supervisor *supervisor); /* USR2: starts the check */
/* A process has ended: whether it was the check. Executes the other program when it went well, and does not come back. */
bool upgrade_reap(struct supervisor *supervisor, pid_t pid, int status);

/* The children have told whoever must know. */
void upgrade_go_on(struct supervisor *supervisor);

/* Looks whether there was a program before; an error where it was, and left nothing that can be understood. */
MUST_USE int upgrade_open(struct supervisor *supervisor, struct text *why);
/* The configuration that the program before had: for the one that goes on where its successor failed. */
struct conf *upgrade_conf(struct supervisor *supervisor, struct bundle *bundle,
                          struct text *errors);
/* Takes over descriptors and children. */
MUST_USE int upgrade_take(struct supervisor *supervisor, struct text *why);
/* The program before goes on, if there was one. Does not come back then. */
void upgrade_return(struct supervisor *supervisor);

#endif
