/* SPDX-License-Identifier: Apache-2.0
 *
 * One OpenSSL context for all sites: a connection gets its certificates when its name is known, so that a site costs no more than
 * its names. The profiles follow Mozilla's recommendations (version 5.7) and RFC 9325.
 */
#include "tls/context.h"
#include "tls/stream.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/evp.h>

static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";

enum { SECURITY_LEVEL = 2 /* 112 bits: no SHA-1, no RSA below 2048 */ };

void tls_context_harden(SSL_CTX *openssl, enum tls_profile profile)
{
    SSL_CTX_set_security_level(openssl, SECURITY_LEVEL);
    INVARIANT(SSL_CTX_set_min_proto_version(openssl, profile == TLS_MODERN ? TLS1_3_VERSION
                                                                           : TLS1_2_VERSION) &&
              SSL_CTX_set_cipher_list(openssl, ciphers) &&
              SSL_CTX_set_ciphersuites(openssl, ciphers_1_3) &&
              SSL_CTX_set1_groups_list(openssl, groups));
    SSL_CTX_set_options(openssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(openssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_msg_callback(openssl, tls_on_message);
    SSL_CTX_set_read_ahead(openssl, 1); /* a record's head and content with one system call */
}

static SSL_CTX *make_openssl(struct tls_context *context, enum tls_profile profile)
{
    SSL_CTX *openssl = SSL_CTX_new(TLS_server_method());
    INVARIANT(openssl);
    tls_context_harden(openssl, profile);
    SSL_CTX_set_options(openssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(openssl, SSL_SESS_CACHE_OFF); /* tickets: clients keep it */
    SSL_CTX_set_timeout(openssl, TLS_SESSION_SECONDS);
    SSL_CTX_set_client_hello_cb(openssl, tls_on_hello, NULL);
    SSL_CTX_set_cert_cb(openssl, tls_on_certificate, NULL);
    SSL_CTX_set_alpn_select_cb(openssl, tls_on_protocols, NULL);
    SSL_CTX_set_tlsext_status_cb(openssl, tls_on_staple);
    INVARIANT(SSL_CTX_set_tlsext_ticket_key_evp_cb(openssl, tls_on_ticket));
    SSL_CTX_set_app_data(openssl, context);
    return openssl;
}

/* ---- certificates */

static void keep_certificate(struct tls_context *context, const struct tls_certificate *certificate)
{
    context->certificates = memory_resize(context->certificates, context->certificate_count + 1,
                                          sizeof *context->certificates);
    context->certificates[context->certificate_count++] = tls_certificate_retain(certificate);
}

/* The first of a kind stays. */
static void add_to_identity(struct tls_identity *identity,
                            const struct tls_certificate *certificate)
{
    if (!identity->kinds[certificate->kind])
        identity->kinds[certificate->kind] = certificate;
}

/* Names have numbers of certificates; now each gets one entry, with the number of its identity. */
static void make_identities(struct tls_context *context)
{
    struct tls_names *names = &context->certificate_names;
    size_t count = 0;
    tls_names_sort(names);
    context->identities = memory_new((names->count + 1) * sizeof *context->identities);
    for (size_t i = 0; i < names->count; i++) {
        struct tls_name name = names->items[i];
        if (!count || !tls_name_is_same(&names->items[count - 1], &name)) {
            names->items[count] = (struct tls_name){name.text, name.is_wildcard, count};
            count++;
        }
        add_to_identity(&context->identities[count - 1], context->certificates[name.number]);
    }
    names->count = context->identity_count = count;
}

static void take_certificates(struct tls_context *context, const struct tls_settings *settings)
{
    for (size_t i = 0; i < settings->site_count; i++) {
        const struct tls_site *site = &settings->sites[i];
        for (size_t k = 0; k < site->certificate_count; k++) {
            const struct tls_certificate *certificate = site->certificates[k];
            for (size_t n = 0; n < certificate->name_count; n++)
                tls_names_add(&context->certificate_names, certificate->names[n],
                              context->certificate_count);
            keep_certificate(context, certificate);
        }
    }
    make_identities(context);
    if (settings->default_site >= settings->site_count)
        return;
    const struct tls_site *site = &settings->sites[settings->default_site];
    context->by_default = site->certificate_count ? NEW(struct tls_identity) : NULL;
    for (size_t k = 0; k < site->certificate_count; k++)
        add_to_identity(context->by_default, site->certificates[k]);
}

/* ---- sites */

static const char *take_authorities(struct tls_policy *policy, struct span pem)
{
    enum { AUTHORITIES_LIMIT = 1024 };
    STACK_OF(X509) *list = tls_read_certificates(pem, AUTHORITIES_LIMIT);
    if (!list || !sk_X509_num(list)) {
        sk_X509_pop_free(list, X509_free);
        return "the authorities of clients are not certificates in PEM form";
    }
    policy->authorities = X509_STORE_new();
    policy->authority_names = sk_X509_NAME_new_null();
    INVARIANT(policy->authorities && policy->authority_names);
    for (int i = 0; i < sk_X509_num(list); i++) {
        X509 *authority = sk_X509_value(list, i);
        X509_STORE_add_cert(policy->authorities, authority);
        sk_X509_NAME_push(policy->authority_names, X509_NAME_dup(X509_get_subject_name(authority)));
    }
    sk_X509_pop_free(list, X509_free);
    return NULL;
}

/* Who was let in by other authorities, or without a certificate, is asked again. */
static void derive_resumption(struct tls_policy *policy, const struct tls_site *site)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t client = (uint8_t)site->client;
    unsigned length = 0;
    INVARIANT(digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(digest, site->name, strlen(site->name) + 1) == 1 &&
              EVP_DigestUpdate(digest, &client, 1) == 1 &&
              EVP_DigestUpdate(digest, site->authorities.data, site->authorities.length) == 1 &&
              EVP_DigestFinal_ex(digest, policy->resumption, &length) == 1 &&
              length == RESUMPTION_BYTES);
    EVP_MD_CTX_free(digest);
}

static const char *take_sites(struct tls_context *context, const struct tls_settings *settings)
{
    context->site_count = settings->site_count;
    context->default_site = settings->default_site;
    context->policies = memory_new((settings->site_count + 1) * sizeof *context->policies);
    for (size_t i = 0; i < settings->site_count; i++) {
        const struct tls_site *site = &settings->sites[i];
        struct tls_policy *policy = &context->policies[i];
        policy->client = site->client;
        derive_resumption(policy, site);
        for (size_t k = 0; k < site->host_count; k++)
            tls_names_add(&context->host_names, site->hosts[k], i);
        const char *wrong =
            site->client == TLS_CLIENT_NONE ? NULL : take_authorities(policy, site->authorities);
        if (wrong)
            return wrong;
    }
    derive_resumption(&context->policies[settings->site_count], &(struct tls_site){.name = ""});
    tls_names_sort(&context->host_names);
    return NULL;
}

/* ---- life */

/* Names are borrowed from certificates and settings: those of hosts are copied. */
static void own_host_names(struct tls_context *context)
{
    for (size_t i = 0; i < context->host_names.count; i++) {
        struct span *text = &context->host_names.items[i].text;
        *text = span_text(memory_text((const char *)text->data, text->length));
    }
}

struct tls_context *tls_context_new(const struct tls_settings *settings, struct tls_shared *shared,
                                    struct text *why)
{
    struct tls_context *context = NEW(struct tls_context);
    atomic_init(&context->references, 1);
    context->shared = shared;
    context->openssl = make_openssl(context, settings->profile);
    context->stream_method = tls_stream_method_new();
    INVARIANT(context->stream_method);
    take_certificates(context, settings);
    const char *wrong = take_sites(context, settings);
    own_host_names(context);
    if (wrong) {
        text_add(why, wrong);
        tls_context_release(&context);
    }
    return context;
}

struct tls_context *tls_context_retain(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_release(struct tls_context **released)
{
    struct tls_context *context = *released;
    if (!context)
        return;
    *released = NULL;
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(context->openssl);
    BIO_meth_free(context->stream_method);
    for (size_t i = 0; i <= context->site_count; i++) {
        X509_STORE_free(context->policies[i].authorities);
        sk_X509_NAME_pop_free(context->policies[i].authority_names, X509_NAME_free);
    }
    for (size_t i = 0; i < context->host_names.count; i++)
        memory_free((void *)(uintptr_t)context->host_names.items[i].text.data);
    for (size_t i = 0; i < context->certificate_count; i++)
        tls_certificate_release(&context->certificates[i]);
    tls_names_clear(&context->certificate_names);
    tls_names_clear(&context->host_names);
    memory_free(context->certificates);
    memory_free(context->identities);
    memory_free(context->policies);
    memory_free(context->by_default);
    memory_free(context);
}

/* ---- look-ups */

const struct tls_identity *tls_context_identity(const struct tls_context *context, struct span name)
{
    long number =
        name.length ? tls_names_find(&context->certificate_names, name, false) : TLS_NAME_NONE;
    return number < 0 ? context->by_default : &context->identities[number];
}

const struct tls_policy *tls_context_policy(const struct tls_context *context, struct span name)
{
    long number = name.length ? tls_names_find(&context->host_names, name, true) : TLS_NAME_NONE;
    if (number >= 0)
        return &context->policies[number];
    return &context->policies[context->default_site < context->site_count ? context->default_site
                                                                          : context->site_count];
}
