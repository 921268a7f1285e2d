/* A certificate for "localhost" and its key, the same in each run, and contexts that use it. */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include "check.h"

#include "csrc/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

typedef struct {
    char *chain;
    char *key;
    int64_t chain_len;
    int64_t key_len;
} certificate;

static inline char *text_of(BIO *bio, int64_t *len) {
    char *data;
    char *copy;

    *len = BIO_get_mem_data(bio, &data);
    copy = malloc((size_t) *len + 1);
    CHECK(copy != NULL);
    memcpy(copy, data, (size_t) *len);
    copy[*len] = 0;
    BIO_free(bio);
    return copy;
}

static inline void add_extension(X509 *cert, int which, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, which, value);

    CHECK(extension != NULL);
    CHECK(X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline void name_it(X509_NAME *name, const char *text) {
    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) text, -1, -1,
                                     0) == 1);
}

static inline X509 *make_x509(EVP_PKEY *key, unsigned char seed, const char *name) {
    X509 *cert = X509_new();

    CHECK(cert != NULL && X509_set_version(cert, 2) == 1);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + seed) == 1);
    CHECK(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z") == 1);
    CHECK(ASN1_TIME_set_string(X509_getm_notAfter(cert), "21200101000000Z") == 1);
    name_it(X509_get_subject_name(cert), name);
    name_it(X509_get_issuer_name(cert), "localhost");
    CHECK(X509_set_pubkey(cert, key) == 1);
    add_extension(cert, NID_basic_constraints, "CA:TRUE");
    add_extension(cert, NID_subject_alt_name, "DNS:localhost, IP:127.0.0.1");
    CHECK(X509_sign(cert, key, NULL) > 0);
    return cert;
}

/* It says that "localhost" has issued it: as `name` that vouches for itself, another is forged.
 * With another `seed` it has another key. */
static inline certificate make_certificate(unsigned char seed, const char *name) {
    unsigned char secret[32] = {1, 2, 3, seed};
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
    BIO *chain = BIO_new(BIO_s_mem());
    BIO *private = BIO_new(BIO_s_mem());
    certificate made;
    X509 *cert;

    CHECK(key != NULL && chain != NULL && private != NULL);
    cert = make_x509(key, seed, name);
    CHECK(PEM_write_bio_X509(chain, cert) == 1);
    CHECK(PEM_write_bio_PKCS8PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) == 1);
    made.chain = text_of(chain, &made.chain_len);
    made.key = text_of(private, &made.key_len);
    X509_free(cert);
    EVP_PKEY_free(key);
    return made;
}

static inline void free_certificate(certificate *cert) {
    free(cert->chain);
    free(cert->key);
}

static inline gv_tls_ctx *serving(const certificate *cert) {
    gv_tls_ctx *ctx = gv_tls_ctx_new(1);

    CHECK(ctx != NULL);
    CHECK_EQ(
        gv_tls_ctx_certificate(ctx, cert->chain, cert->chain_len, cert->key, cert->key_len, NULL),
        0);
    return ctx;
}

static inline gv_tls_ctx *trusting(const certificate *cert) {
    gv_tls_ctx *ctx = gv_tls_ctx_new(0);

    CHECK(ctx != NULL);
    CHECK_EQ(gv_tls_ctx_trust(ctx, cert->chain, cert->chain_len, 0), 0);
    CHECK_EQ(gv_tls_ctx_verify(ctx, GV_TLS_VERIFY_REQUIRED), 0);
    return ctx;
}

#endif
