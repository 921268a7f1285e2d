#include "csrc/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_llong live;
static const char NO_MEMORY[] = "out of memory"; /* not even for the reason */

/* OpenSSL's callbacks. */

/* A peer may send key updates and tickets for ever, which cost us more than it. OpenSSL calls
 * them a handshake while it reads them, so that it cannot be asked whether that is done. */
static void message_came(int sent, int version, int type, const void *data, size_t len, SSL *ssl,
                         void *arg) {
    gv_tls *tls = arg;

    (void) version, (void) data, (void) len, (void) ssl;
    if (sent || type != SSL3_RT_HANDSHAKE || !tls->done)
        return;
    tls->idle++;
    tls->flooded = tls->flooded || tls->idle > GV_TLS_IDLE_MESSAGES;
}

/* RFC 6066, 3: a list of names, of which ours is the first and of type 0. */
static char *server_name(SSL *ssl) {
    const unsigned char *data;
    size_t size, len;
    char *name;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1 || size < 5)
        return NULL;
    len = (size_t) data[3] << 8 | data[4];
    if (data[2] != TLSEXT_NAMETYPE_host_name || len > size - 5 || len > TLSEXT_MAXLEN_host_name ||
        memchr(data + 5, 0, len) != NULL)
        return NULL;
    name = malloc(len + 1);
    if (name == NULL)
        return NULL;
    memcpy(name, data + 5, len);
    name[len] = 0;
    return name;
}

int gv_tls_hello_came(SSL *ssl, int *alert, void *unused) {
    gv_tls *tls = SSL_get_app_data(ssl);

    (void) unused;
    if (tls->refusal != 0) {
        *alert = tls->refusal;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!tls->ask || tls->asked)
        return SSL_CLIENT_HELLO_SUCCESS;
    tls->asked = true;
    tls->name = server_name(ssl);
    return SSL_CLIENT_HELLO_RETRY;
}

int gv_tls_session_came(SSL *ssl, SSL_SESSION *session) {
    gv_tls *tls = SSL_get_app_data(ssl);

    SSL_SESSION_free(tls->session);
    tls->session = session;
    tls->fresh = true;
    return 1; /* we keep it */
}

/* Errors. */

/* ERR_clear_error() alone would wipe the whole queue, 600 instructions each time, though there
 * is hardly ever anything in it. */
static void forget_errors(void) {
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static int fail(gv_tls *tls, gv_tls_why why, const char *text) {
    if (tls->error == NULL) {
        char *copy = strdup(text);

        tls->error = copy == NULL ? NO_MEMORY : copy;
        tls->why = why;
    }
    return GV_TLS_ERROR;
}

/* Empty the queue. It may begin with what a library below has said, which tells less than
 * what TLS says of it. */
static unsigned long take_error(void) {
    unsigned long first = ERR_get_error();
    unsigned long code = first;

    while (code != 0 && ERR_GET_LIB(code) != ERR_LIB_SSL)
        code = ERR_get_error();
    forget_errors();
    return code == 0 ? first : code;
}

/* Who connects to many hosts wants to know which. */
static int fail_to_verify(gv_tls *tls, long verified) {
    X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
    char *ip = NULL;
    const char *name = NULL;
    char text[2 * GV_TLS_ERROR_SIZE];

    if (verified == X509_V_ERR_HOSTNAME_MISMATCH)
        name = X509_VERIFY_PARAM_get0_host(param, 0);
    else if (verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
        name = ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    snprintf(text, sizeof(text), "certificate verify failed: %s%s%s",
             X509_verify_cert_error_string(verified), name == NULL ? "" : ": it is not for ",
             name == NULL ? "" : name);
    OPENSSL_free(ip);
    return fail(tls, GV_TLS_CERTIFICATE, text);
}

static const char *flood(const gv_tls *tls) {
    if (!tls->done)
        return "too many bytes in the handshake";
    return tls->answered > GV_TLS_ANSWERS ? "too many messages whose answers are not taken"
                                          : "too many messages without data";
}

static int fail_by_queue(gv_tls *tls) {
    long verified = SSL_get_verify_result(tls->ssl);
    unsigned long code = take_error();
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;

    if (tls->flooded)
        return fail(tls, GV_TLS_PROTOCOL, flood(tls));
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        return fail_to_verify(tls, verified);
    if (reason == SSL_R_INVALID_STATUS_RESPONSE)
        return fail(tls, GV_TLS_CERTIFICATE,
                    "certificate verify failed: the stapled OCSP response does not vouch for it");
    if (tls->refusal != 0)
        return fail(tls, GV_TLS_PROTOCOL,
                    tls->refusal == GV_TLS_UNRECOGNIZED_NAME
                        ? "there is no certificate for the name that the client asks for"
                        : "no context could be chosen");
    /* OpenSSL knows four of the methods. No record begins with a letter. */
    if (SSL_is_server(tls->ssl) && !tls->done && tls->first >= 'A' && tls->first <= 'Z')
        return fail(tls, GV_TLS_HTTP, "a request in plain HTTP");
    return fail(tls, GV_TLS_PROTOCOL, gv_tls_reason(code));
}

/* Say what an operation's result means. OpenSSL keeps errors in a queue for each thread,
 * and SSL_get_error() believes whatever lies there: it is empty before and behind. */
static int finish(gv_tls *tls, int rc) {
    int error = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, rc);

    switch (error) {
    case SSL_ERROR_NONE:
        break;
    case SSL_ERROR_WANT_READ:
        rc = GV_TLS_WANT_READ;
        break;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        rc = GV_TLS_HELLO;
        break;
    case SSL_ERROR_ZERO_RETURN:
        rc = GV_TLS_EOF;
        break;
    default:
        return fail_by_queue(tls);
    }
    forget_errors(); /* of something that it could do without */
    return rc;
}

/* Making one. */

static bool set_hostname(SSL *ssl, const char *hostname, bool check) {
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    size_t len = strlen(hostname);
    char name[TLSEXT_MAXLEN_host_name + 1];

    /* With a dot before it, a name would stand for all names below it. */
    if (len == 0 || len > TLSEXT_MAXLEN_host_name || hostname[0] == '.')
        return false;
    if (X509_VERIFY_PARAM_set1_ip_asc(param, hostname) == 1) {
        if (!check)
            X509_VERIFY_PARAM_set1_ip(param, NULL, 0);
        return true;
    }
    memcpy(name, hostname, len + 1);
    if (name[len - 1] == '.') /* the root, which certificates and SNI do without */
        name[--len] = 0;
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return len > 0 && SSL_set_tlsext_host_name(ssl, name) == 1 &&
           (!check || SSL_set1_host(ssl, name) == 1);
}

static void set_session(SSL *ssl, const unsigned char *data, int64_t len) {
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &data, (long) len);

    if (session != NULL)
        SSL_set_session(ssl, session); /* it is only an offer */
    SSL_SESSION_free(session);
}

static bool set_up(gv_tls *tls, const gv_tls_ctx *ctx, const char *hostname, bool check) {
    BIO *bio = gv_tls_bio_new(tls);

    if (bio == NULL)
        return false;
    SSL_set_bio(tls->ssl, bio, bio);
    if (SSL_set_app_data(tls->ssl, (char *) tls) != 1)
        return false;
    SSL_set_msg_callback(tls->ssl, message_came);
    SSL_set_msg_callback_arg(tls->ssl, tls);
    tls->ask = ctx->ask;
    if (ctx->server) {
        SSL_set_accept_state(tls->ssl);
        return true;
    }
    SSL_set_connect_state(tls->ssl);
    if (ctx->check_staple && SSL_set_tlsext_status_type(tls->ssl, TLSEXT_STATUSTYPE_ocsp) != 1)
        return false;
    return hostname == NULL || set_hostname(tls->ssl, hostname, check);
}

gv_tls *gv_tls_new(gv_tls_ctx *ctx, const char *hostname, int check, const unsigned char *session,
                   int64_t len) {
    gv_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return NULL;
    live++;
    tls->ssl = SSL_new(ctx->ssl);
    if (tls->ssl == NULL || !set_up(tls, ctx, hostname, check != 0)) {
        gv_tls_free(tls);
        tls = NULL;
    } else if (session != NULL) {
        set_session(tls->ssl, session, len);
    }
    forget_errors();
    return tls;
}

void gv_tls_free(gv_tls *tls) {
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    SSL_SESSION_free(tls->session);
    gv_tls_bytes_clear(&tls->in);
    gv_tls_bytes_clear(&tls->out);
    free(tls->name);
    if (tls->error != NO_MEMORY)
        free((void *) (uintptr_t) tls->error);
    free(tls);
    live--;
}

int64_t gv_tls_live(void) {
    return live;
}

/* The peer's side. */

int gv_tls_feed(gv_tls *tls, const char *data, int64_t len) {
    if (tls->error != NULL)
        return GV_TLS_ERROR;
    return gv_tls_bytes_append(&tls->in, data, (size_t) len) < 0
               ? fail(tls, GV_TLS_PROTOCOL, "out of memory")
               : 0;
}

void gv_tls_lend(gv_tls *tls, const char *data, size_t len) {
    tls->lent = data;
    tls->lent_len = len;
}

void gv_tls_keep_memory(gv_tls *tls, bool keep) {
    if (keep) {
        SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
    } else {
        SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
        SSL_free_buffers(tls->ssl); /* but if a record is there in part: then with its end */
    }
}

int gv_tls_keep(gv_tls *tls) {
    size_t len = tls->lent_len;

    tls->lent_len = 0;
    return len == 0 ? 0 : gv_tls_feed(tls, tls->lent, (int64_t) len);
}

bool gv_tls_has_input(const gv_tls *tls) {
    return tls->error == NULL &&
           (tls->in.len > 0 || tls->lent_len > 0 || SSL_pending(tls->ssl) > 0);
}

int gv_tls_eof(gv_tls *tls) {
    if (tls->error != NULL) /* a fatal alert looks like a close_notify from here on */
        return GV_TLS_ERROR;
    if (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN)
        return 0;
    return fail(tls, GV_TLS_TRUNCATED,
                tls->done ? "the peer has closed without a close_notify"
                          : "the peer has closed during the handshake");
}

int64_t gv_tls_take(gv_tls *tls, char *data, int64_t len) {
    size_t n = gv_tls_bytes_take(&tls->out, data, (size_t) len);

    if (tls->out.len == 0)
        tls->answered = 0;
    return (int64_t) n;
}

int64_t gv_tls_rest(gv_tls *tls, char *data, int64_t len) {
    return (int64_t) gv_tls_bytes_take(&tls->in, data, (size_t) len);
}

int64_t gv_tls_out(const gv_tls *tls) {
    return (int64_t) tls->out.len;
}

int64_t gv_tls_in(const gv_tls *tls) {
    return (int64_t) tls->in.len;
}

/* The program's side. */

int gv_tls_handshake(gv_tls *tls) {
    int rc;

    if (tls->error != NULL)
        return GV_TLS_ERROR;
    forget_errors();
    rc = finish(tls, SSL_do_handshake(tls->ssl));
    tls->done = tls->done || rc > 0;
    return rc > 0 ? 0 : rc;
}

int64_t gv_tls_read(gv_tls *tls, char *data, int64_t len) {
    int rc;

    if (tls->error != NULL)
        return GV_TLS_ERROR;
    if (!tls->done)
        return GV_TLS_WANT_READ;
    forget_errors();
    tls->reading = true;
    rc = finish(tls, SSL_read(tls->ssl, data, len > INT32_MAX ? INT32_MAX : (int) len));
    tls->reading = false;
    if (rc > 0)
        tls->idle = 0;
    return rc;
}

int64_t gv_tls_write(gv_tls *tls, const char *data, int64_t len) {
    if (tls->error != NULL)
        return GV_TLS_ERROR;
    if (!tls->done)
        return GV_TLS_WANT_READ;
    if (len == 0)
        return 0;
    forget_errors();
    return finish(tls, SSL_write(tls->ssl, data, len > INT32_MAX ? INT32_MAX : (int) len));
}

int gv_tls_shutdown(gv_tls *tls) {
    if (tls->error != NULL)
        return GV_TLS_ERROR;
    if (!SSL_is_init_finished(tls->ssl)) /* or a message of the peer's has come in part */
        return GV_TLS_WANT_READ;
    if (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
        return 0;
    forget_errors();
    if (SSL_shutdown(tls->ssl) < 0)
        return fail_by_queue(tls);
    forget_errors();
    return 0;
}

/* Servers with several names. */

const char *gv_tls_name(const gv_tls *tls) {
    return tls->name;
}

int gv_tls_use(gv_tls *tls, gv_tls_ctx *ctx) {
    SSL *ssl = tls->ssl;

    forget_errors();
    /* OpenSSL takes over certificates, ciphers and callbacks; the rest was copied by SSL_new(). */
    if (SSL_set_SSL_CTX(ssl, ctx->ssl) == NULL ||
        SSL_set1_groups_list(ssl, gv_tls_ctx_groups(ctx)) != 1)
        return fail_by_queue(tls);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx->ssl), NULL);
    SSL_set_min_proto_version(ssl, (int) SSL_CTX_get_min_proto_version(ctx->ssl));
    SSL_set_max_proto_version(ssl, (int) SSL_CTX_get_max_proto_version(ctx->ssl));
    forget_errors();
    return 0;
}

void gv_tls_refuse(gv_tls *tls, int alert) {
    tls->refusal = (uint8_t) alert;
}

const char *gv_tls_error(const gv_tls *tls) {
    return tls->error == NULL ? "" : tls->error;
}

int gv_tls_error_kind(const gv_tls *tls) {
    return (int) tls->why;
}
