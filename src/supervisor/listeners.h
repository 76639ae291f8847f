/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors with names: which ones a configuration wants, and the table of those that are open.
 * Opened once, by the supervisor; a child that is started anew gets the same ones, so that what
 * waits in their queues is not lost.
 */
#ifndef SUPERVISOR_LISTENERS_H
#define SUPERVISOR_LISTENERS_H

#include "supervisor/process.h"
#include "supervisor/supervisor.h"

enum { DESCRIPTOR_NAME_BYTES = 4096 + 8, LISTENERS_LIMIT = 65536 };

/* "http:192.0.2.1:80/3", "control"; "log:/var/log/..." for log files, "folder:/var/cache/..." likewise. */
struct descriptor {
    char *name;
    const char *child; /* who gets it: a role's `child`; NULL: all */
    int fd;
    bool is_wanted;  /* by the newest configuration */
    uint8_t sent;    /* bit for each child that has it */
    uint8_t leaving; /* bit for each child that was told to close it and has not said that it did */
};

/* Zero-initialised is empty. */
struct descriptors {
    struct descriptor *items;
    size_t count, capacity;
    const struct identity *owner; /* of folders that are made */
};

void listener_name(enum listener_kind kind, const struct address *address, uint32_t worker,
                   char name[DESCRIPTOR_NAME_BYTES]);
void log_name(const char *path, char name[DESCRIPTOR_NAME_BYTES]);
void folder_name(const char *path, char name[DESCRIPTOR_NAME_BYTES]);
struct descriptor *descriptors_find(const struct descriptors *table, const char *name);
/* Owns the descriptor; replaces one of the same name. */
struct descriptor *descriptors_add(struct descriptors *table, const char *name, const char *child,
                                   int fd);
void descriptors_drop(struct descriptors *table, const char *name); /* closes */
/* The drained ones: nobody waits in their queues for a process that accepts no more. */
void descriptors_drop_accepting(struct descriptors *table);
void descriptors_clear(struct descriptors *table); /* closes all */

/* Opens what the node wants and is not open, marks what is wanted. On an error the new ones are
 * closed again, and `errors` has one sentence for each. What is no longer wanted stays open until
 * descriptors_close_unwanted(). */
MUST_USE int descriptors_open(struct descriptors *table, const struct conf *conf, uint32_t workers,
                              struct text *errors);
/* Closes what is not wanted, once no child has it any more: until then the address could not be
 * opened again. */
void descriptors_close_unwanted(struct descriptors *table);
/* The child has ended (`is_gone`), or has closed what it was told to. */
void descriptors_left(struct descriptors *table, uint8_t child_bit, bool is_gone);
/* After rotation; what cannot be opened is logged and stays. */
void logs_reopen(struct descriptors *table);

/* This process's log as the node has it. Negative with errno. */
MUST_USE int log_open_node(const struct conf_node *node, const char *process);

/* The control socket, mode 0600; refuses when another instance answers there. */
MUST_USE int control_listen(const char *run_dir, int *fd, struct text *why);
void control_path(const char *run_dir, char *path, size_t size);

#endif
