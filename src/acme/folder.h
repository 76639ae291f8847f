/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies on disk: the process's own folder, one writer at a time. A file is there as a whole or not at all, also after a crash,
 * and nobody else can read it.
 *
 *     acme-SITE.pem         key and chain of the certificate in use
 *     acme-SITE.state       what is remembered of attempts
 *     acme-SITE.thumbprint  of the account, for proofs over HTTP
 *     acme-SITE.share       what edges elsewhere fetch
 *     acme-account-ID.seed  an account's key; ID: of the directory's URL
 */
#ifndef ACME_FOLDER_H
#define ACME_FOLDER_H

#include "acme/schedule.h"

struct acme_folder {
    const char *path;
    int lock; /* held while this process is the writer; -1: another one is */
};

/* True: this process is the only one that writes there, until it ends or acme_folder_leave(). */
bool acme_folder_enter(struct acme_folder *folder);
void acme_folder_leave(struct acme_folder *folder);

/* 0; ERROR_NOT_FOUND; ERROR_IO or ERROR_LIMIT with a sentence. */
MUST_USE int acme_folder_read(const struct acme_folder *folder, const char *name,
                              struct text *content, struct text *why);
MUST_USE int acme_folder_write(const struct acme_folder *folder, const char *name,
                               struct span content, struct text *why);
/* Writes only where the content is another one; *has_changed then. */
MUST_USE int acme_folder_update(const struct acme_folder *folder, const char *name,
                                struct span content, bool *has_changed, struct text *why);

/* What cannot be read is as if it had never been. */
void acme_record_read(const struct acme_folder *folder, const char *site,
                      struct acme_record *record);
MUST_USE int acme_record_write(const struct acme_folder *folder, const char *site,
                               const struct acme_record *record, struct text *why);

#endif
