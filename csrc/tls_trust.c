/* Whom a context trusts, and whom no more; and what servers staple. */
#include "csrc/tls.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

enum { CLOCK_SKEW = 300 }; /* s by which the responder's clock may differ */

static int fail(gv_tls_ctx *ctx, const char *why) {
    snprintf(ctx->error, sizeof(ctx->error), "%s", why);
    gv_tls_drain_errors(ctx->error, sizeof(ctx->error));
    return GV_TLS_ERROR;
}

static bool at_the_end(void) {
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

static bool trust_one(const gv_tls_ctx *ctx, X509 *cert, bool name) {
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx->ssl), cert) == 1 &&
           (!name || SSL_CTX_add_client_CA(ctx->ssl, cert) == 1);
}

/* Returns how many, or -1. */
static int trust_pem(const gv_tls_ctx *ctx, BIO *bio, bool name) {
    int count = 0;
    X509 *cert;

    while ((cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        bool taken = trust_one(ctx, cert, name);

        X509_free(cert);
        if (!taken)
            return -1;
        count++;
    }
    return at_the_end() ? count : -1;
}

static int trust_der(const gv_tls_ctx *ctx, BIO *bio, bool name) {
    int count = 0;

    while (BIO_pending(bio) > 0) {
        X509 *cert = d2i_X509_bio(bio, NULL);
        bool taken = cert != NULL && trust_one(ctx, cert, name);

        X509_free(cert);
        if (!taken)
            return -1;
        count++;
    }
    return count;
}

int gv_tls_ctx_trust(gv_tls_ctx *ctx, const char *data, int64_t len, int name) {
    BIO *bio = len < 0 || len > INT32_MAX ? NULL : BIO_new_mem_buf(data, (int) len);
    int count;

    if (bio == NULL)
        return fail(ctx, "out of memory, or too large");
    /* DER begins with the tag of a sequence, which no text does. */
    count = len > 0 && data[0] == 0x30 ? trust_der(ctx, bio, name != 0)
                                       : trust_pem(ctx, bio, name != 0);
    BIO_free(bio);
    if (count < 0)
        return fail(ctx, "a broken certificate");
    ERR_clear_error();
    return count > 0 ? 0 : fail(ctx, "no certificates");
}

int gv_tls_ctx_trust_folder(gv_tls_ctx *ctx, const char *path) {
    int rc = SSL_CTX_load_verify_dir(ctx->ssl, path);

    ERR_clear_error();
    return rc == 1 ? 0 : fail(ctx, "the folder cannot be used");
}

int gv_tls_ctx_trust_system(gv_tls_ctx *ctx) {
    int rc = SSL_CTX_set_default_verify_paths(ctx->ssl);

    ERR_clear_error(); /* a system without such a file trusts nobody */
    return rc == 1 ? 0 : fail(ctx, "the system's certificates cannot be used");
}

int64_t gv_tls_ctx_trusted(const gv_tls_ctx *ctx) {
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx->ssl));
    int64_t count = 0;
    int i;

    for (i = 0; i < sk_X509_OBJECT_num(all); i++)
        count += X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_X509;
    return count;
}

int gv_tls_ctx_revoked(gv_tls_ctx *ctx, const char *data, int64_t len, int chain) {
    X509_STORE *store = SSL_CTX_get_cert_store(ctx->ssl);
    unsigned long flags = X509_V_FLAG_CRL_CHECK | (chain ? X509_V_FLAG_CRL_CHECK_ALL : 0);
    BIO *bio = len < 0 || len > INT32_MAX ? NULL : BIO_new_mem_buf(data, (int) len);
    int count = 0;
    bool whole;
    X509_CRL *list;

    while (bio != NULL && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
    }
    whole = at_the_end();
    BIO_free(bio);
    if (count == 0 || !whole)
        return fail(ctx, "no revocation list in PEM form, or a broken one");
    ERR_clear_error();
    X509_STORE_set_flags(store, flags);
    return 0;
}

/* Find the status of the server's certificate, or -1. */
static int status_of(SSL *ssl, OCSP_BASICRESP *basic) {
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    ASN1_GENERALIZEDTIME *from, *until;
    OCSP_CERTID *id;
    int status = -1;

    if (sk_X509_num(chain) < 2)
        return -1;
    id = OCSP_cert_to_id(NULL, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
    if (id == NULL || OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until) != 1 ||
        OCSP_check_validity(from, until, CLOCK_SKEW, -1) != 1)
        status = -1;
    OCSP_CERTID_free(id);
    return status;
}

static bool is_good(SSL *ssl, const unsigned char *der, long len) {
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, len);
    OCSP_BASICRESP *basic = NULL;
    bool good = false;

    if (response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    if (basic != NULL)
        good = OCSP_basic_verify(basic, SSL_get0_verified_chain(ssl),
                                 SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), 0) == 1 &&
               status_of(ssl, basic) == V_OCSP_CERTSTATUS_GOOD;
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return good;
}

int gv_tls_staple_is_good(SSL *ssl, void *unused) {
    const unsigned char *der;
    long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
    bool good;

    (void) unused;
    if (len <= 0)
        return 1; /* most servers staple none */
    good = is_good(ssl, der, len);
    ERR_clear_error();
    return good ? 1 : 0;
}
