/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as bytes: the file's text and the contents of the files that it names, read
 * once by the supervisor, so that every child sees the same and needs no file access. Secrets only
 * go to the children that need them. Large files lie behind one another in a memfd of their own, which
 * all processes map: they exist once in memory.
 */
#ifndef SUPERVISOR_BUNDLE_H
#define SUPERVISOR_BUNDLE_H

#include "conf/conf.h"

/* What a child gets of it. */
enum bundle_part {
    BUNDLE_PUBLIC,
    BUNDLE_WITH_SITE_KEYS,  /* this node's secrets, and the keys of sites */
    BUNDLE_WITH_ZONE_KEYS,  /* this node's secrets, and those of the DNS server */
    BUNDLE_WITH_ORDER_KEYS, /* secrets of ordering certificates alone */
    BUNDLE_WHOLE,           /* for a supervisor that takes over */
};

struct bundle_file {
    char *path;
    struct text content;
    bool is_secret;
    enum bundle_part
        key_for;   /* the only part that has it; BUNDLE_PUBLIC: it is none of such keys */
    bool is_large; /* instead of content: where it lies in the memfd */
    uint64_t offset, bytes;
};

/* Zero-initialised is empty. */
struct bundle {
    struct bundle_file *files; /* the first is the configuration itself */
    size_t count;
    bool has_memory;
    int memory; /* the large files */
    uint64_t memory_bytes;
};

void bundle_clear(struct bundle *bundle); /* wipes secrets */

/* A reader of real files that keeps what it read, and reads each once; and nothing can be added any more. */
struct conf_reader bundle_recorder(struct bundle *bundle);
void bundle_seal(const struct bundle *bundle);
/* Into `copy`, which is empty: all but the files of that folder, which a recorder then reads anew. */
void bundle_copy_without(const struct bundle *bundle, const char *folder, struct bundle *copy);
/* A reader that answers from the bundle only. */
struct conf_reader bundle_reader(const struct bundle *bundle, enum bundle_part part);

void bundle_add(struct bundle *bundle, const char *path, bool is_secret, struct span content);
/* The memfd goes beside the bytes, where there is one. */
void bundle_write(const struct bundle *bundle, enum bundle_part part, struct text *bytes);
/* `memory`: a descriptor that stays the caller's, -1: none. */
MUST_USE int bundle_parse(struct bundle *bundle, struct span bytes, int memory);

#endif
