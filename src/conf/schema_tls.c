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

static const struct word challenges[] = {{"http", CONF_ACME_HTTP}, {"dns", CONF_ACME_DNS}, {0}};
static const struct word keys[] = {{"ecdsa", CONF_ACME_ECDSA}, {"rsa", CONF_ACME_RSA}, {0}};

static const struct setting acme_binding_settings[] = {
    {"id", &type_text, MEMBER(conf_acme, binding_id),
     .help = "Name of the account at the authority, as it gave it out."},
    {"key", &type_path, MEMBER(conf_acme, binding_path),
     .help = "File of the key that came with it, in base64 for URLs. Mode 0600."},
};
static const struct section acme_binding_section = {
    "acme binding", "An account that the authority knows by other means.",
    ROWS(acme_binding_settings)};

static const struct setting acme_settings[] = {
    {"directory", &type_text, MEMBER(conf_acme, directory), REQUIRED,
     .help = "URL of the authority's directory.",
     .example = "https://acme-v02.api.letsencrypt.org/directory"},
    {"agree_terms", &type_boolean, MEMBER(conf_acme, agrees), .preset = "false",
     .help = "That you agree to the authority's terms of service; nothing is ordered without."},
    {"contact", &type_text, ONE_OR_LIST, TEXTS(conf_acme, contacts),
     .help = "Mail addresses that the authority may write to."},
    {"node", &type_node, MEMBER(conf_acme, node), .preset_note = "the first edge of the site",
     .help = "The one node that orders."},
    {"challenge", &type_choice, MEMBER(conf_acme, challenge), .words = challenges, .preset = "http",
     .help = "How the names are proved: at port 80 of every edge, or by our DNS, which wildcards "
             "need."},
    {"names", &type_host, LIST, TEXTS(conf_acme, names), .preset_note = "the site's hosts",
     .help = "Names of the certificate."},
    {"key", &type_choice, MEMBER(conf_acme, key), .words = keys, .preset = "ecdsa",
     .help = "Kind of the certificate's key, which is another one each time: P-256, or RSA with "
             "2048 bits."},
    {"renew_before", &type_duration, MEMBER(conf_acme, renew_before_ns), RANGE("0s", "8760h"),
     .preset = "0s", .preset_note = "when the authority says, or a third of its life",
     .help = "How long before its end a certificate is renewed."},
    {"secret", &type_path, MEMBER(conf_acme, secret_path),
     .help = "File of 32 random bytes in base64, the same on all edges of the site: keys are "
             "derived from it, so that none crosses the network. Needed where several edges serve "
             "the site. Mode 0600."},
    {"zone", &type_domain, MEMBER(conf_acme, zone),
     .help = "Within one of our zones: names that lie elsewhere are proved below it, by an alias "
             "there; docs/acme.md."},
    {"authorities", &type_path, MEMBER(conf_acme, authorities_path),
     .preset_note = "those of the system",
     .help = "PEM file of the certificates that vouch for the directory's own."},
    {"binding", GROUP(acme_binding_section), .help = "An account that is known already."},
};
static const struct section acme_section = {
    "acme", "Certificates from an authority that speaks ACME; docs/acme.md.", ROWS(acme_settings),
    sizeof(struct conf_acme)};

static const struct setting site_tls_settings[] = {
    {"certificates", SECTION(certificate_section), .shape = SHAPE_LIST, .limit = CERTIFICATES_LIMIT,
     ITEMS(conf_site_tls, certificates, certificate_count),
     .help = "Several for one name may have keys of different kinds (ECDSA, RSA): each client "
             "gets the first that suits it."},
    {"self_signed", &type_boolean, MEMBER(conf_site_tls, is_self_signed), .preset = "false",
     .help = "For trying out: a certificate that nobody vouches for, made at each start and "
             "reload."},
    {"acme", SECTION(acme_section), MEMBER(conf_site_tls, acme),
     .help = "Certificates are ordered and renewed by themselves."},
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
