/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this folder know of each other: the node (acme.c), a site of it (site.c), what is counted (count.c).
 */
#ifndef ACME_PRIVATE_H
#define ACME_PRIVATE_H

#include "acme/acme.h"
#include "acme/certificate.h"
#include "acme/fetch.h"
#include "acme/folder.h"
#include "acme/order.h"
#include "acme/share.h"

enum {
    ACME_SHOWN_DNS_S = 3,   /* from telling a proof to all DNS nodes having it */
    ACME_SHOWN_HTTP_S = 1,  /* from the node's processes having the thumbprint */
    ACME_TAKEN_MOST_S = 10, /* that these take at most */
    ACME_FOLLOW_S = 60,     /* from one look at the ordering node to the next */
    ACME_FOLLOW_SOON_S = 5, /* while there is nothing yet */
    ACME_SLEEP_MOST_S = 3600,
};

/* What is known of the certificate in use. */
struct acme_present {
    bool is_there;
    bool has_names; /* all that are wanted */
    uint64_t begins_s, ends_s;
    char id[ACME_ID_BYTES]; /* "": not one that renewal can be asked for */
};

struct acme_site {
    struct list link; /* acme->sites */
    struct acme *acme;
    struct arena arena; /* of the settings */
    const char *name;
    uint64_t settings; /* a hash of them */
    bool orders;       /* else it follows the node that does */
    struct acme_plan plan;
    enum acme_key key_kind;
    uint64_t before_s;
    struct span authorities, secret;    /* `secret` empty: none */
    const char *proof_zone;             /* NULL: proofs of DNS lie at the names themselves */
    const char *connect_to, *share_url; /* where the ordering node is; NULL: not known */
    struct signature_key *account;      /* NULL: not known here */
    struct acme_present present;
    struct acme_record record;
    struct acme_order *order; /* NULL: none is under way */
    struct text key, request; /* of it */
    uint64_t shown_s;         /* when the proof in hand may be taken for shown; 0: none is */
    bool is_fetching;
    struct loop_timer timer;
};

struct acme {
    struct acme_options options;
    struct acme_folder folder;
    struct acme_fetcher *fetcher;
    struct random random;
    struct list sites; /* struct acme_site */
    struct loop_timer enter, tell;
    bool is_leaving;
    bool was_told; /* of proofs */
    uint64_t
        changed_s; /* since when the processes may lack what is in the folder; 0: they have it */
};

/* ---- acme.c */
uint64_t acme_now_s(void);
void acme_folder_changed(struct acme *acme);
void acme_tell_proofs(struct acme *acme);

/* ---- site.c */
/* NULL: the node has no part in it. */
struct acme_site *acme_site_new(struct acme *acme, const struct conf *conf,
                                const struct conf_site *conf_site);
void acme_site_free(struct acme_site **freed);
/* The folder is ours: what is in it is read, and work begins. */
void acme_site_start(struct acme_site *site);
/* Whatever is due. */
void acme_site_step(struct acme_site *site);
/* Key and chain become the certificate in use. 0, or a sentence: the old one stays. */
MUST_USE int acme_site_keep(struct acme_site *site, struct span key, struct span chain,
                            struct text *why);
json_t *acme_site_status(const struct acme_site *site);

/* ---- settings.c */
/* The site's settings, copied. False: the node has no part in it. */
bool acme_site_take(struct acme_site *site, const struct conf *conf,
                    const struct conf_site *conf_site);

/* ---- follow.c */
void acme_site_follow(struct acme_site *site);

/* ---- count.c */
void acme_count_register(void);
enum acme_outcome { ACME_ISSUED, ACME_REFUSED, ACME_UNREACHED, ACME_FETCHED, ACME_OUTCOMES };
void acme_count(enum acme_outcome outcome);
void acme_count_site(const char *site, uint64_t ends_s, uint32_t failures);

#endif
