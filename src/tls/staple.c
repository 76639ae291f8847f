/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP answers that handshakes carry (RFC 6066 section 8): only such as are about this certificate, signed by its issuer or in its
 * name, say "good", and have not expired. How the file comes about is the administrator's business.
 */
#include "tls/certificate.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

/* The part about the certificate; by its serial number, since the digest in the identifier may be any. */
static OCSP_SINGLERESP *find_part(OCSP_BASICRESP *basic, X509 *leaf)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *part = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial;
        OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                          (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(part));
        if (serial && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0)
            return part;
    }
    return NULL;
}

/* Without the issuer in the file nobody can say; clients will. */
static bool is_signed(OCSP_BASICRESP *basic, STACK_OF(X509) * chain)
{
    if (!sk_X509_num(chain))
        return true;
    X509_STORE *store = X509_STORE_new();
    INVARIANT(store);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
    X509_STORE_add_cert(store, sk_X509_value(chain, 0));
    bool is_good = OCSP_basic_verify(basic, chain, store, OCSP_TRUSTOTHER) == 1;
    X509_STORE_free(store);
    return is_good;
}

/* NULL, or what is wrong. */
static const char *judge(const struct tls_certificate *certificate, OCSP_BASICRESP *basic,
                         uint64_t *ends_s)
{
    ASN1_GENERALIZEDTIME *next = NULL;
    OCSP_SINGLERESP *part = basic ? find_part(basic, certificate->leaf) : NULL;
    if (!basic)
        return "no OCSP answer, or one without success, in DER form";
    if (!part)
        return "it is about another certificate";
    if (OCSP_single_get0_status(part, NULL, NULL, NULL, &next) != V_OCSP_CERTSTATUS_GOOD)
        return "it does not say that the certificate is good";
    if (!next || !(*ends_s = tls_time_of(next)))
        return "it does not say when it expires";
    return is_signed(basic, certificate->chain) ? NULL
                                                : "it is not signed by the certificate's issuer";
}

int tls_certificate_staple(struct tls_certificate *certificate, struct span ocsp, uint64_t now_s,
                           struct text *why)
{
    const unsigned char *at = ocsp.data;
    uint64_t ends_s = 0;
    OCSP_RESPONSE *answer = d2i_OCSP_RESPONSE(NULL, &at, (long)ocsp.length);
    OCSP_BASICRESP *basic =
        answer && OCSP_response_status(answer) == OCSP_RESPONSE_STATUS_SUCCESSFUL
            ? OCSP_response_get1_basic(answer)
            : NULL;
    const char *wrong = judge(certificate, basic, &ends_s);
    int result = wrong ? ERROR_INVALID : 0;
    if (!wrong && now_s && ends_s <= now_s) {
        wrong = "it has expired: handshakes go without";
        result = ERROR_TIMEOUT;
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(answer);
    ERR_clear_error();
    if (wrong) {
        text_add(why, wrong);
        return result;
    }
    memory_free(certificate->staple);
    certificate->staple = memory_raw(ocsp.length);
    memcpy(certificate->staple, ocsp.data, ocsp.length);
    certificate->staple_bytes = ocsp.length;
    certificate->staple_ends_s = ends_s;
    return 0;
}
