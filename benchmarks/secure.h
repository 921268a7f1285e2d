/* The client's side of TLS over sockets that do not block, by OpenSSL.
 *
 * Whoever answers is trusted: this is for load, and the server is ours. */
#ifndef BENCHMARKS_SECURE_H
#define BENCHMARKS_SECURE_H

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    SECURE_AGAIN = -1, /* call again once the socket is ready; SSL_want_write() says for what */
    SECURE_ERROR = -2  /* secure_reason() says why */
};

struct secure {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* what new connections resume, if there is one */
};

/* `version` is the only one that is spoken, or 0. There is no cache of sessions: OpenSSL would let
 * none of TLS 1.3 be used by several connections. */
static inline bool secure_open(struct secure *secure, int version) {
    secure->ctx = SSL_CTX_new(TLS_client_method());
    if (secure->ctx == NULL || !SSL_CTX_set_min_proto_version(secure->ctx, version) ||
        !SSL_CTX_set_max_proto_version(secure->ctx, version))
        return false;
    SSL_CTX_set_session_cache_mode(secure->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(secure->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(secure->ctx, 1);
    return true;
}

/* Returns NULL if there is no memory. Give it up with secure_end(). */
static inline SSL *secure_start(struct secure *secure, int fd) {
    SSL *ssl = SSL_new(secure->ctx);

    if (ssl == NULL || !SSL_set_fd(ssl, fd) ||
        (secure->session != NULL && !SSL_set_session(ssl, secure->session))) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

static inline ssize_t secure_result(SSL *ssl, int rc) {
    if (rc > 0)
        return rc;
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return SECURE_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return SECURE_ERROR;
    }
}

/* Returns 1 once it is done, or an enum. */
static inline ssize_t secure_shake(SSL *ssl) {
    ERR_clear_error();
    errno = 0;
    return secure_result(ssl, SSL_do_handshake(ssl));
}

/* Returns how many bytes were sent, or an enum. */
static inline ssize_t secure_send(SSL *ssl, const char *data, size_t length) {
    ERR_clear_error();
    errno = 0;
    return secure_result(ssl, SSL_write(ssl, data, (int) length));
}

/* Fills the buffer with all that has come. Returns how many bytes that are, 0 for the peer's
 * close_notify, or an enum. */
static inline ssize_t secure_receive(SSL *ssl, char *buffer, size_t length) {
    size_t got = 0;
    ssize_t more;

    do {
        ERR_clear_error();
        errno = 0;
        more = secure_result(ssl, SSL_read(ssl, buffer + got, (int) (length - got)));
        if (more <= 0)
            return got > 0 ? (ssize_t) got : more;
        got += more;
    } while (got < length && SSL_has_pending(ssl));
    return got;
}

static inline const char *secure_reason(void) {
    unsigned long error = ERR_peek_error();

    if (error == 0)
        return errno != 0 ? strerror(errno) : "closed without a close_notify";
    return ERR_reason_error_string(error) ? ERR_reason_error_string(error) : "unknown reason";
}

/* Have new connections resume the session of this one, which has received something: the ticket of
 * TLS 1.3 comes after the handshake. */
static inline void secure_keep(struct secure *secure, SSL *ssl) {
    SSL_SESSION_free(secure->session);
    secure->session = SSL_get1_session(ssl);
}

/* Says goodbye, too: OpenSSL does not resume a session that was cut off. */
static inline void secure_end(SSL *ssl) {
    if (SSL_is_init_finished(ssl))
        SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

#endif
