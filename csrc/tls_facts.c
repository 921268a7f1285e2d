#include "csrc/tls_facts.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

const char *gv_tls_version(const gv_tls *tls) {
    return tls->done ? SSL_get_version(tls->ssl) : NULL;
}

static const SSL_CIPHER *cipher(const gv_tls *tls) {
    return tls->done ? SSL_get_current_cipher(tls->ssl) : NULL;
}

const char *gv_tls_cipher(const gv_tls *tls) {
    const SSL_CIPHER *current = cipher(tls);

    return current == NULL ? NULL : SSL_CIPHER_get_name(current);
}

const char *gv_tls_cipher_version(const gv_tls *tls) {
    const SSL_CIPHER *current = cipher(tls);

    return current == NULL ? NULL : SSL_CIPHER_get_version(current);
}

int gv_tls_cipher_bits(const gv_tls *tls) {
    const SSL_CIPHER *current = cipher(tls);

    return current == NULL ? 0 : SSL_CIPHER_get_bits(current, NULL);
}

int64_t gv_tls_alpn(const gv_tls *tls, const unsigned char **protocol) {
    unsigned len;

    SSL_get0_alpn_selected(tls->ssl, protocol, &len);
    return len;
}

int gv_tls_resumed(const gv_tls *tls) {
    return SSL_session_reused(tls->ssl);
}

/* A server is not given its client's own among the rest. */
static X509 *certificate_at(const gv_tls *tls, int index) {
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->ssl);

    if (index == 0)
        return SSL_get0_peer_certificate(tls->ssl);
    if (SSL_is_server(tls->ssl))
        index--;
    return index < sk_X509_num(chain) ? sk_X509_value(chain, index) : NULL;
}

int64_t gv_tls_certificate(const gv_tls *tls, int index, unsigned char *data, int64_t len) {
    X509 *cert = certificate_at(tls, index);
    int size = cert == NULL ? 0 : i2d_X509(cert, NULL);

    if (size > 0 && size <= len)
        i2d_X509(cert, &data);
    ERR_clear_error();
    return size < 0 ? 0 : size;
}

int64_t gv_tls_session(gv_tls *tls, unsigned char *data, int64_t len) {
    int size = tls->fresh ? i2d_SSL_SESSION(tls->session, NULL) : 0;

    ERR_clear_error();
    if (size <= 0 || size > len)
        return size < 0 ? 0 : size;
    i2d_SSL_SESSION(tls->session, &data);
    tls->fresh = false;
    return size;
}

int64_t gv_tls_unique(const gv_tls *tls, unsigned char *data, int64_t len) {
    /* The client's is first, but for a resumed session. */
    bool ours = (SSL_session_reused(tls->ssl) != 0) == (SSL_is_server(tls->ssl) != 0);

    if (!tls->done)
        return 0;
    return (int64_t) (ours ? SSL_get_finished(tls->ssl, data, (size_t) len)
                           : SSL_get_peer_finished(tls->ssl, data, (size_t) len));
}

int64_t gv_tls_end_point(const gv_tls *tls, unsigned char *data, int64_t len) {
    X509 *cert = SSL_is_server(tls->ssl) ? SSL_get_certificate(tls->ssl)
                                         : SSL_get0_peer_certificate(tls->ssl);
    const EVP_MD *md = EVP_sha256(); /* also instead of MD5 and SHA-1 */
    unsigned size = 0;
    int digest;
    int rc;

    if (cert == NULL || len < EVP_MAX_MD_SIZE)
        return 0;
    if (X509_get_signature_info(cert, &digest, NULL, NULL, NULL) == 1 && digest != NID_md5 &&
        digest != NID_sha1 && EVP_get_digestbynid(digest) != NULL)
        md = EVP_get_digestbynid(digest);
    rc = X509_digest(cert, md, data, &size);
    ERR_clear_error();
    return rc == 1 ? (int64_t) size : 0;
}

int64_t gv_tls_export(const gv_tls *tls, const char *label, int64_t label_len,
                      const unsigned char *context, int64_t context_len, unsigned char *data,
                      int64_t len) {
    int rc;

    if (!tls->done)
        return 0;
    rc = SSL_export_keying_material(tls->ssl, data, (size_t) len, label, (size_t) label_len,
                                    context, (size_t) context_len, context != NULL);
    ERR_clear_error();
    return rc == 1 ? len : 0;
}

/* Certificates as text. */

static void put(BIO *out, const char *name, const char *value, int len) {
    BIO_puts(out, name);
    BIO_write(out, "", 1);
    BIO_write(out, value, len);
    BIO_write(out, "", 1);
}

static void put_string(BIO *out, const char *name, const ASN1_STRING *string) {
    unsigned char *text;
    int len = ASN1_STRING_to_UTF8(&text, string);

    if (len < 0)
        return;
    if (memchr(text, 0, (size_t) len) == NULL) /* what would pass for another name */
        put(out, name, (const char *) text, len);
    OPENSSL_free(text);
}

static void put_name(BIO *out, const char *which, const X509_NAME *name) {
    int set = -1;
    int i;

    for (i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        char text[80];

        if (X509_NAME_ENTRY_set(entry) != set)
            put(out, which, "", 0);
        set = X509_NAME_ENTRY_set(entry);
        OBJ_obj2txt(text, sizeof(text), object, 0);
        put_string(out, text, X509_NAME_ENTRY_get_data(entry));
    }
}

static void put_time(BIO *out, const char *name, const ASN1_TIME *time) {
    BIO_puts(out, name);
    BIO_write(out, "", 1);
    ASN1_TIME_print(out, time);
    BIO_write(out, "", 1);
}

static void put_serial(BIO *out, const X509 *cert) {
    BIO_puts(out, "serialNumber");
    BIO_write(out, "", 1);
    i2a_ASN1_INTEGER(out, X509_get0_serialNumber(cert));
    BIO_write(out, "", 1);
}

static void put_ip(BIO *out, const ASN1_OCTET_STRING *ip) {
    const unsigned char *data = ASN1_STRING_get0_data(ip);
    int len = ASN1_STRING_length(ip);
    int i;

    BIO_puts(out, "IP Address");
    BIO_write(out, "", 1);
    for (i = 0; i < len; i++)
        BIO_printf(out, "%02x", data[i]);
    BIO_write(out, "", 1);
}

static void put_other_names(BIO *out, const X509 *cert) {
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int i;

    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS)
            put_string(out, "DNS", name->d.dNSName);
        else if (name->type == GEN_EMAIL)
            put_string(out, "email", name->d.rfc822Name);
        else if (name->type == GEN_URI)
            put_string(out, "URI", name->d.uniformResourceIdentifier);
        else if (name->type == GEN_IPADD)
            put_ip(out, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
}

int64_t gv_tls_describe(const unsigned char *der, int64_t der_len, char *data, int64_t len) {
    X509 *cert = d2i_X509(NULL, &der, (long) der_len);
    BIO *out = BIO_new(BIO_s_mem());
    int64_t size = 0;
    char *text;

    if (cert != NULL && out != NULL) {
        put_name(out, "=subject", X509_get_subject_name(cert));
        put_name(out, "=issuer", X509_get_issuer_name(cert));
        put(out, "=", "", 0);
        BIO_printf(out, "version%c%ld%c", 0, X509_get_version(cert) + 1, 0);
        put_serial(out, cert);
        put_time(out, "notBefore", X509_get0_notBefore(cert));
        put_time(out, "notAfter", X509_get0_notAfter(cert));
        put_other_names(out, cert);
        size = BIO_get_mem_data(out, &text);
        if (ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
            size = 0; /* a half of it would say something else */
        if (size > 0 && size <= len)
            memcpy(data, text, (size_t) size);
    }
    BIO_free(out);
    X509_free(cert);
    ERR_clear_error();
    return size;
}
