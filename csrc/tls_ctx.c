#include "csrc/tls_ctx.h"
#include "csrc/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Forward secrecy and authenticated encryption; a client also meets old servers. */
static const char SERVER_CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char CLIENT_CIPHERS[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:!SHA1:!aNULL:!aDSS:!AESCCM";
static const char GROUPS[] = "X25519:P-256:P-384:P-521";

enum { SECURITY_LEVEL = 2 }; /* OpenSSL's: 112 bits, so no RSA below 2048 */

const char *gv_tls_reason(unsigned long code) {
    const char *reason = code == 0 ? "out of memory" : ERR_reason_error_string(code);

    return reason == NULL ? "unknown error of OpenSSL" : reason;
}

void gv_tls_drain_errors(char *text, size_t size) {
    unsigned long code = ERR_peek_error();

    if (code != 0)
        snprintf(text, size, "%s", gv_tls_reason(code));
    ERR_clear_error();
}

/* What every change ends in. */
static int finish(gv_tls_ctx *ctx, bool done) {
    if (done) {
        ERR_clear_error();
        return 0;
    }
    snprintf(ctx->error, sizeof(ctx->error), "out of memory");
    gv_tls_drain_errors(ctx->error, sizeof(ctx->error));
    return GV_TLS_ERROR;
}

static int refuse(gv_tls_ctx *ctx, const char *why) {
    ERR_clear_error();
    snprintf(ctx->error, sizeof(ctx->error), "%s", why);
    return GV_TLS_ERROR;
}

/* OpenSSL's callbacks find us by the context, which may outlive its owner's interest. */
static void free_ctx(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long a, void *b) {
    gv_tls_ctx *ctx = ptr;

    (void) parent, (void) data, (void) index, (void) a, (void) b;
    if (ctx == NULL)
        return;
    free(ctx->protocols);
    free(ctx->groups);
    free(ctx->staple);
    free(ctx);
}

static int index_of_ours = -1;

static void make_index(void) {
    index_of_ours = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_ctx);
}

static int ex_index(void) {
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT; /* two threads may be the first */

    return CRYPTO_THREAD_run_once(&once, make_index) == 1 ? index_of_ours : -1;
}

gv_tls_ctx *gv_tls_ctx_of(SSL_CTX *ssl) {
    return SSL_CTX_get_ex_data(ssl, ex_index());
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *len,
                           const unsigned char *offered, unsigned offered_len, void *unused) {
    const gv_tls_ctx *ctx = gv_tls_ctx_of(SSL_get_SSL_CTX(ssl));
    unsigned char *chosen;

    (void) unused;
    if (ctx->protocols == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    /* RFC 7301, 3.2; who went on would be open to cross-protocol attacks (ALPACA). */
    if (SSL_select_next_proto(&chosen, len, ctx->protocols, ctx->protocols_len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int staple(SSL *ssl, void *unused) {
    const gv_tls_ctx *ctx = gv_tls_ctx_of(SSL_get_SSL_CTX(ssl));
    unsigned char *copy;

    (void) unused;
    if (ctx->staple == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(ctx->staple, (size_t) ctx->staple_len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, ctx->staple_len);
    return SSL_TLSEXT_ERR_OK;
}

static void set_up_server(SSL_CTX *ssl) {
    /* Tickets only: a cache would keep memory for clients that never come back. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_client_hello_cb(ssl, gv_tls_hello_came, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, select_protocol, NULL);
    SSL_CTX_set_tlsext_status_cb(ssl, staple);
}

static void set_up_client(SSL_CTX *ssl) {
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, gv_tls_session_came);
    SSL_CTX_set_tlsext_status_cb(ssl, gv_tls_staple_is_good);
}

static bool set_up(gv_tls_ctx *ctx) {
    SSL_CTX *ssl = ctx->ssl;

    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    if (ctx->server)
        set_up_server(ssl);
    else
        set_up_client(ssl);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, ctx->server ? SERVER_CIPHERS : CLIENT_CIPHERS) == 1 &&
           SSL_CTX_set1_groups_list(ssl, GROUPS) == 1;
}

gv_tls_ctx *gv_tls_ctx_new(int server) {
    gv_tls_ctx *ctx = calloc(1, sizeof(*ctx));
    SSL_CTX *ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL || ssl == NULL || SSL_CTX_set_ex_data(ssl, ex_index(), ctx) != 1) {
        SSL_CTX_free(ssl);
        free(ctx);
        ERR_clear_error();
        return NULL;
    }
    ctx->ssl = ssl; /* which owns us from now on */
    ctx->server = server != 0;
    ctx->keylog = -1;
    if (!set_up(ctx)) {
        gv_tls_ctx_free(ctx);
        ERR_clear_error();
        return NULL;
    }
    return ctx;
}

void gv_tls_ctx_free(gv_tls_ctx *ctx) {
    if (ctx != NULL)
        SSL_CTX_free(ctx->ssl);
}

const char *gv_tls_ctx_error(const gv_tls_ctx *ctx) {
    return ctx->error;
}

const char *gv_tls_ctx_groups(const gv_tls_ctx *ctx) {
    return ctx->groups == NULL ? GROUPS : ctx->groups;
}

static int set_groups(gv_tls_ctx *ctx, const char *text) {
    char *copy;

    if (SSL_CTX_set1_groups_list(ctx->ssl, text) != 1)
        return refuse(ctx, "no such group");
    copy = strdup(text);
    if (copy == NULL)
        return refuse(ctx, "out of memory");
    free(ctx->groups);
    ctx->groups = copy;
    return finish(ctx, true);
}

int gv_tls_ctx_text(gv_tls_ctx *ctx, int which, const char *text) {
    switch (which) {
    case GV_TLS_CIPHERS:
        return finish(ctx, SSL_CTX_set_cipher_list(ctx->ssl, text) == 1);
    case GV_TLS_SUITES:
        return finish(ctx, SSL_CTX_set_ciphersuites(ctx->ssl, text) == 1);
    case GV_TLS_GROUPS:
        return set_groups(ctx, text);
    default:
        return refuse(ctx, "no such setting");
    }
}

int gv_tls_ctx_versions(gv_tls_ctx *ctx, int lowest, int highest) {
    if (lowest > highest)
        return refuse(ctx, "the lowest version is above the highest");
    if (lowest < TLS1_VERSION || highest > TLS1_3_VERSION)
        return refuse(ctx, "no such version");
    return finish(ctx, SSL_CTX_set_min_proto_version(ctx->ssl, lowest) == 1 &&
                           SSL_CTX_set_max_proto_version(ctx->ssl, highest) == 1);
}

/* Without this OpenSSL would ask at the terminal. */
static int give_password(char *buf, int size, int writing, void *password) {
    size_t len = password == NULL ? 0 : strlen(password);

    (void) writing;
    if (len == 0 || len > (size_t) size)
        return -1;
    memcpy(buf, password, len);
    return (int) len;
}

static EVP_PKEY *read_key(const char *data, int64_t len, const char *password) {
    BIO *bio = BIO_new_mem_buf(data, (int) len);
    EVP_PKEY *key = NULL;

    if (bio != NULL)
        key = PEM_read_bio_PrivateKey(bio, NULL, give_password, (void *) (uintptr_t) password);
    BIO_free(bio);
    return key;
}

/* Read what certificates there are, until something else comes. */
static STACK_OF(X509) * read_chain(const char *data, int64_t len) {
    STACK_OF(X509) *chain = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(data, (int) len);
    X509 *cert;

    while (chain != NULL && bio != NULL &&
           (cert = PEM_read_bio_X509(bio, NULL, give_password, NULL)) != NULL)
        if (sk_X509_push(chain, cert) == 0) {
            X509_free(cert);
            break; /* with an error in the queue */
        }
    BIO_free(bio);
    return chain;
}

static bool at_the_end(void) {
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
}

int gv_tls_ctx_certificate(gv_tls_ctx *ctx, const char *chain, int64_t chain_len, const char *key,
                           int64_t key_len, const char *password) {
    STACK_OF(X509) * certs;
    EVP_PKEY *private;
    X509 *leaf;
    int rc;

    if (chain_len < 0 || chain_len > INT32_MAX || key_len < 0 || key_len > INT32_MAX)
        return refuse(ctx, "too large");
    certs = read_chain(chain, chain_len);
    leaf = certs == NULL ? NULL : sk_X509_shift(certs);
    if (leaf == NULL || !at_the_end()) {
        X509_free(leaf);
        sk_X509_pop_free(certs, X509_free);
        return refuse(ctx, "no certificate in PEM form, or a broken one");
    }
    ERR_clear_error();
    private = read_key(key, key_len, password);
    if (private == NULL)
        rc = refuse(ctx, "no private key in PEM form, or the wrong password");
    else
        rc = finish(ctx, SSL_CTX_use_cert_and_key(ctx->ssl, leaf, private, certs, 1) == 1);
    EVP_PKEY_free(private);
    X509_free(leaf);
    sk_X509_pop_free(certs, X509_free);
    return rc;
}

int gv_tls_ctx_verify(gv_tls_ctx *ctx, int verify) {
    int mode = SSL_VERIFY_NONE;

    if (verify != GV_TLS_VERIFY_NONE)
        mode = SSL_VERIFY_PEER;
    if (verify == GV_TLS_VERIFY_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx->ssl, mode, NULL);
    return 0;
}

static int take_copy(gv_tls_ctx *ctx, unsigned char **to, const unsigned char *data, int64_t len) {
    unsigned char *copy = malloc((size_t) len + 1);

    if (copy == NULL)
        return refuse(ctx, "out of memory");
    memcpy(copy, data, (size_t) len);
    free(*to);
    *to = copy;
    return 0;
}

int gv_tls_ctx_alpn(gv_tls_ctx *ctx, const unsigned char *protocols, int64_t len) {
    int rc;

    if (len < 2 || len > UINT16_MAX)
        return refuse(ctx, "no protocols, or too many");
    if (!ctx->server)
        return SSL_CTX_set_alpn_protos(ctx->ssl, protocols, (unsigned) len) == 0
                   ? finish(ctx, true)
                   : refuse(ctx, "out of memory");
    rc = take_copy(ctx, &ctx->protocols, protocols, len);
    if (rc == 0)
        ctx->protocols_len = (unsigned) len;
    return rc;
}

void gv_tls_ctx_ask(gv_tls_ctx *ctx, int on) {
    ctx->ask = on != 0;
}

int gv_tls_ctx_sessions(gv_tls_ctx *ctx, const unsigned char *identity, int64_t len,
                        const unsigned char *keys) {
    if (len < 0 || len > SSL_MAX_SID_CTX_LENGTH)
        return refuse(ctx, "an identity has at most 32 bytes");
    if (SSL_CTX_set_session_id_context(ctx->ssl, identity, (unsigned) len) != 1)
        return finish(ctx, false);
    if (keys == NULL)
        return finish(ctx, true);
    return finish(ctx, SSL_CTX_set_tlsext_ticket_keys(ctx->ssl, (void *) (uintptr_t) keys,
                                                      GV_TLS_TICKET_KEYS) == 1);
}

static void write_secret(const SSL *ssl, const char *line) {
    const gv_tls_ctx *ctx = gv_tls_ctx_of(SSL_get_SSL_CTX(ssl));
    char text[512]; /* a line has at most 288 */
    int len = snprintf(text, sizeof(text), "%s\n", line);

    /* Who reads the log has to live with a full disk. */
    if (len > 0 && (size_t) len < sizeof(text) && write(ctx->keylog, text, (size_t) len) < 0)
        return;
}

void gv_tls_ctx_keylog(gv_tls_ctx *ctx, int fd) {
    ctx->keylog = fd;
    SSL_CTX_set_keylog_callback(ctx->ssl, fd < 0 ? NULL : write_secret);
}

int gv_tls_ctx_staple(gv_tls_ctx *ctx, const unsigned char *der, int64_t len) {
    int rc;

    if (len < 1 || len > UINT16_MAX)
        return refuse(ctx, "no OCSP response, or too large a one");
    rc = take_copy(ctx, &ctx->staple, der, len);
    if (rc == 0)
        ctx->staple_len = (int) len;
    return rc;
}

void gv_tls_ctx_check_staple(gv_tls_ctx *ctx, int on) {
    ctx->check_staple = on != 0;
}
