/* SPDX-License-Identifier: Apache-2.0
 *
 * How visitors come in over TLS (docs/tls.md), and certificates that an authority is asked for (docs/acme.md). Part of conf.h.
 */
#ifndef CONF_TLS_H
#define CONF_TLS_H

#include "conf/values.h"

enum conf_unknown_name { CONF_UNKNOWN_SERVE, CONF_UNKNOWN_REFUSE };
enum conf_tls_profile { CONF_TLS_MODERN, CONF_TLS_INTERMEDIATE };

struct conf_edge_tls {
    struct conf_addresses listen;
    enum conf_tls_profile profile;        /* INTERMEDIATE */
    const struct conf_site *default_site; /* NULL: the first with a certificate */
    enum conf_unknown_name unknown_names; /* SERVE */
    uint64_t handshake_timeout_ns;        /* 10 s */
};

enum conf_tls_client { CONF_TLS_CLIENT_OFF, CONF_TLS_CLIENT_OPTIONAL, CONF_TLS_CLIENT_REQUIRED };

struct conf_site_certificate {
    const char *certificate_path, *key_path, *ocsp_path; /* the last NULL: none */
    struct span certificate, key, ocsp; /* of the sites that this process's own edge serves */
};

enum conf_acme_challenge { CONF_ACME_HTTP, CONF_ACME_DNS };
enum conf_acme_key { CONF_ACME_ECDSA, CONF_ACME_RSA };
enum { CONF_ACME_THUMBPRINT_BYTES = 43 };

/* Certificates that an authority is asked for (docs/acme.md). */
struct conf_acme {
    const char *directory;              /* URL */
    const struct conf_node *node;       /* that orders; default: the first edge of the site */
    struct conf_texts contacts;         /* mail addresses */
    struct conf_texts names;            /* default: the site's hosts */
    enum conf_acme_challenge challenge; /* HTTP */
    enum conf_acme_key key;             /* ECDSA */
    bool agrees;                        /* to the authority's terms */
    uint64_t renew_before_ns;           /* 0: a third of the certificate's life */
    const char *authorities_path;       /* that vouch for the directory; NULL: the system's */
    struct span authorities;
    const char *secret_path;               /* that the site's edges share; NULL: none */
    struct span secret;                    /* of the ordering process only */
    const char *binding_id, *binding_path; /* external account binding; NULL: none */
    struct span binding;                   /* its key; of the ordering process only */
    const char *zone; /* where proofs of DNS lie of names outside of our zones; NULL: none */
    uint64_t begins_s, ends_s; /* of the certificate in use; 0: not known here */
    struct span share;      /* what edges elsewhere fetch of the certificate; empty: nothing yet */
    struct span thumbprint; /* of the account, which proves over HTTP; empty: not known yet */
};

struct conf_site_tls {
    struct conf_site_certificate *certificates; /* with `acme`: that which there is */
    size_t certificate_count;
    struct conf_acme *acme;       /* NULL: none */
    bool is_self_signed;          /* with `acme`: there is no certificate yet */
    enum conf_tls_client client;  /* off */
    const char *authorities_path; /* NULL: none */
    struct span authorities;
    bool passes_through;  /* keys stay at the origin (T10) */
    uint16_t origin_port; /* 443: of connections that are passed through */
};

#endif
