/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of visitors' TLS: where an edge listens and how strictly, which certificates a site has (docs/tls.md).
 */
#include "conf/schema_rows.h"

enum { CERTIFICATES_LIMIT = 64 };

static const struct word profiles[] = {{"modern", CONF_TLS_MODERN},
                                       {"intermediate", CONF_TLS_INTERMEDIATE},
                                       {0}};
static const struct word unknown_names[] = {{"serve", CONF_UNKNOWN_SERVE},
                                            {"refuse", CONF_UNKNOWN_REFUSE},
                                            {0}};
static const struct word clients[] = {{"off", CONF_TLS_CLIENT_OFF},
                                      {"optional", CONF_TLS_CLIENT_OPTIONAL},
                                      {"required", CONF_TLS_CLIENT_REQUIRED},
                                      {0}};

static const struct setting edge_tls_settings[] = {
    {"listen", &type_listen, LIST, TEXTS(conf_edge_tls, listen), REQUIRED,
     .help = "Where HTTPS requests come in, usually port 443."},
    {"profile", &type_choice, MEMBER(conf_edge_tls, profile), .words = profiles,
     .preset = "intermediate",
     .help = "`modern`: TLS 1.3 alone. `intermediate`: 1.2 too, with ephemeral keys and "
             "authenticated encryption."},
    {"default_site", &type_site, MEMBER(conf_edge_tls, default_site),
     .preset_note = "the first with a certificate",
     .help = "Whose certificate clients get that ask for no name, or an unknown one."},
    {"unknown_names", &type_choice, MEMBER(conf_edge_tls, unknown_names), .words = unknown_names,
     .preset = "serve",
     .help = "`refuse`: such clients get no certificate but an alert (unrecognized_name)."},
    {"handshake", &type_duration, MEMBER(conf_edge_tls, handshake_timeout_ns), RANGE("100ms", "1h"),
     .preset = "10s", .help = "The longest that a handshake may take."},
};
const struct section edge_tls_section = {"edge tls", "How visitors come in over TLS.",
                                         ROWS(edge_tls_settings), sizeof(struct conf_edge_tls)};

static const struct setting certificate_settings[] = {
    {"certificate", &type_path, MEMBER(conf_site_certificate, certificate_path), REQUIRED,
     .help = "PEM file: the server's certificate, then those between it and a root."},
    {"key", &type_path, MEMBER(conf_site_certificate, key_path), REQUIRED,
     .help = "PEM file of its private key. Mode 0600."},
    {"ocsp", &type_path, MEMBER(conf_site_certificate, ocsp_path),
     .help = "DER file of an OCSP answer, which handshakes carry until it expires."},
};
static const struct section certificate_section = {
    "certificates", "A certificate of a site. It serves the names that it has (subjectAltName).",
    ROWS(certificate_settings), sizeof(struct conf_site_certificate)};

static const struct setting site_tls_settings[] = {
    {"certificates", SECTION(certificate_section), .shape = SHAPE_LIST, .limit = CERTIFICATES_LIMIT,
     ITEMS(conf_site_tls, certificates, certificate_count),
     .help = "Several for one name may have keys of different kinds (ECDSA, RSA): each client "
             "gets the first that suits it."},
    {"self_signed", &type_boolean, MEMBER(conf_site_tls, is_self_signed), .preset = "false",
     .help = "For trying out: a certificate that nobody vouches for, made at each start and "
             "reload."},
    {"client_certificates", &type_choice, MEMBER(conf_site_tls, client), .words = clients,
     .preset = "off", .help = "Whether visitors are asked for a certificate, or must have one."},
    {"authorities", &type_path, MEMBER(conf_site_tls, authorities_path),
     .help = "PEM file of the certificates that vouch for those of visitors."},
    {"passthrough", &type_boolean, MEMBER(conf_site_tls, passes_through), .preset = "false",
     .help = "The keys stay at the origin: its connections are carried there, undecrypted."},
    {"passthrough_port", &type_integer, MEMBER(conf_site_tls, origin_port), RANGE("1", "65535"),
     .preset = "443", .help = "The origin's port for these; gateways must allow it."},
};
const struct section site_tls_section = {"site tls", "How the site is served over TLS.",
                                         ROWS(site_tls_settings), sizeof(struct conf_site_tls)};
