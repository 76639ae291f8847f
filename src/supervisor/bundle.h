/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration as bytes: the file's text and the contents of the files that it names, read
 * once by the supervisor, so that every child sees the same and needs no file access. Secrets only
 * go to the children that need them.
 */
#ifndef SUPERVISOR_BUNDLE_H
#define SUPERVISOR_BUNDLE_H

#include "conf/conf.h"

struct bundle_file {
    char *path;
    struct text content;
    bool is_secret;
};

/* Zero-initialised is empty. */
struct bundle {
    struct bundle_file *files; /* the first is the configuration itself */
    size_t count;
};

void bundle_clear(struct bundle *bundle); /* wipes secrets */

/* A reader of real files that keeps what it read. */
struct conf_reader bundle_recorder(struct bundle *bundle);
/* A reader that answers from the bundle only. */
struct conf_reader bundle_reader(const struct bundle *bundle);

void bundle_add(struct bundle *bundle, const char *path, bool is_secret, struct span content);
void bundle_write(const struct bundle *bundle, bool with_secrets, struct text *bytes);
MUST_USE int bundle_parse(struct bundle *bundle, struct span bytes);

#endif
