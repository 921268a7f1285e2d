/* TLS as an engine, on OpenSSL: records in, plaintext out, and back. It knows nothing of
 * sockets, loops or Python.
 *
 *     from the peer --- feed ---> [ engine ] --- read ----> to the program
 *     to the peer <---- take ---- [        ] <-- write ---- from the program
 *
 * Before the handshake is done nothing can be read or written, so that no byte from
 * before it is ever taken for the peer's. */
#ifndef GV_TLS_H
#define GV_TLS_H

#include "csrc/tls_ctx.h"

/* cdef: begin */

/* What an operation returns when it has nothing else to say. */
typedef enum {
    GV_TLS_OK = 0,
    GV_TLS_WANT_READ = -21001, /* feed more, then call again */
    GV_TLS_HELLO = -21002,     /* gv_tls_name() is known: call gv_tls_use(), then again */
    GV_TLS_EOF = -21003,       /* the peer has sent close_notify */
    GV_TLS_ERROR = -21004      /* see gv_tls_error(); the connection is dead */
} gv_tls_result;

typedef enum {
    GV_TLS_PROTOCOL,    /* somebody broke the rules, or there is no common ground */
    GV_TLS_CERTIFICATE, /* the peer's could not be verified */
    GV_TLS_TRUNCATED,   /* the connection ended without a close_notify */
    GV_TLS_HTTP         /* a client has sent a request in plain HTTP */
} gv_tls_why;

/* What a client may be told that nothing answers (RFC 8446, 6.2). */
typedef enum { GV_TLS_INTERNAL_ERROR = 80, GV_TLS_UNRECOGNIZED_NAME = 112 } gv_tls_alert;

typedef struct gv_tls gv_tls;

/* Make an engine. A client sends `hostname` (may be NULL) to the server, unless it is an
 * IP address, and with `check` the server's certificate must be for it. `session` is of
 * gv_tls_session(). NULL without memory, or if the hostname is none. Undo with
 * gv_tls_free(). */
gv_tls *gv_tls_new(gv_tls_ctx *ctx, const char *hostname, int check, const unsigned char *session,
                   int64_t len);
void gv_tls_free(gv_tls *tls);

/* Take bytes from the peer: a copy. 0, or GV_TLS_ERROR without memory. */
int gv_tls_feed(gv_tls *tls, const char *data, int64_t len);

/* The peer's bytes have ended: 0 if it had said so, else GV_TLS_ERROR. */
int gv_tls_eof(gv_tls *tls);

/* Each returns how many bytes, or a gv_tls_result. A record ends a read. */
int64_t gv_tls_read(gv_tls *tls, char *data, int64_t len);
int64_t gv_tls_write(gv_tls *tls, const char *data, int64_t len);

/* 0 once it is done. */
int gv_tls_handshake(gv_tls *tls);

/* Send close_notify: nothing more can be written. */
int gv_tls_shutdown(gv_tls *tls);

/* Get bytes for the peer, or (behind its close_notify) those that were fed and are no
 * more TLS. Returns how many. */
int64_t gv_tls_take(gv_tls *tls, char *data, int64_t len);
int64_t gv_tls_rest(gv_tls *tls, char *data, int64_t len);

/* How many bytes each of those would give. */
int64_t gv_tls_out(const gv_tls *tls);
int64_t gv_tls_in(const gv_tls *tls);

/* In a client's hello: the name it asks for, or NULL. And what to answer with. */
const char *gv_tls_name(const gv_tls *tls);
int gv_tls_use(gv_tls *tls, gv_tls_ctx *ctx);

/* Or with nothing but an alert, a gv_tls_alert, when the handshake goes on. */
void gv_tls_refuse(gv_tls *tls, int alert);

/* Behind GV_TLS_ERROR: what happened, and its kind, a gv_tls_why. */
const char *gv_tls_error(const gv_tls *tls);
int gv_tls_error_kind(const gv_tls *tls);

/* How many engines there are. */
int64_t gv_tls_live(void);

/* cdef: end */

enum {
    GV_TLS_RECORD = 16384,         /* bytes of plaintext that a record has at most */
    GV_TLS_HANDSHAKE_MAX = 262144, /* bytes from the peer until the handshake is done */
    GV_TLS_IDLE_MESSAGES = 32,     /* in a row that bring no data, behind it */
    GV_TLS_ANSWERS = 65536         /* bytes that reading has written, while nothing leaves */
};

typedef int (*gv_tls_sink)(void *arg, const char *data, size_t len);

typedef struct {
    char *data;
    size_t at;
    size_t len; /* behind `at` */
    size_t size;
} gv_tls_bytes;

struct gv_tls {
    SSL *ssl;
    const char *lent; /* fed, and not copied */
    size_t lent_len;
    gv_tls_bytes in;
    gv_tls_bytes out;
    gv_tls_sink sink; /* where records go, or NULL: to `out` */
    void *sink_arg;
    SSL_SESSION *session; /* the newest that a client was given */
    char *name;
    const char *error;
    gv_tls_why why;
    uint32_t handshake_bytes;
    uint32_t answered; /* bytes that reading has written, since what was written has left */
    uint16_t idle;
    bool done;       /* the handshake is */
    char first;      /* of the peer's bytes */
    uint8_t refusal; /* a gv_tls_alert, or 0 */
    bool ask;
    bool asked;
    bool flooded;
    bool reading;
    bool fresh; /* `session` is new since it was asked for */
};

/* Keep the memory for records between two of them; a new engine gives it back each time. */
void gv_tls_keep_memory(gv_tls *tls, bool keep);

/* Feed without a copy: until gv_tls_keep(), which copies what was not read. */
void gv_tls_lend(gv_tls *tls, const char *data, size_t len);
int gv_tls_keep(gv_tls *tls);

/* Whether there may be something to read without more being fed. */
bool gv_tls_has_input(const gv_tls *tls);

/* Where records wait; see tls_bio.c. Appending fails without memory. */
int gv_tls_bytes_append(gv_tls_bytes *bytes, const char *data, size_t len);
size_t gv_tls_bytes_take(gv_tls_bytes *bytes, char *data, size_t len);
void gv_tls_bytes_clear(gv_tls_bytes *bytes);
BIO *gv_tls_bio_new(gv_tls *tls);

/* Callbacks for contexts. */
int gv_tls_hello_came(SSL *ssl, int *alert, void *unused);
int gv_tls_session_came(SSL *ssl, SSL_SESSION *session);

#endif
