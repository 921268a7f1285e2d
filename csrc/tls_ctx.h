/* What the TLS engines of one kind share: certificates, trust, and what is allowed.
 *
 * Everything is set before the first engine is made; OpenSSL counts who uses it, so
 * that a context can be given up while engines that were made with it go on. */
#ifndef GV_TLS_CTX_H
#define GV_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

typedef struct gv_tls_ctx gv_tls_ctx;

/* What gv_tls_ctx_text() sets, in OpenSSL's words. */
typedef enum {
    GV_TLS_CIPHERS, /* of TLS 1.2 and before */
    GV_TLS_SUITES,  /* of TLS 1.3 */
    GV_TLS_GROUPS   /* for the key exchange */
} gv_tls_text;

typedef enum { GV_TLS_VERIFY_NONE, GV_TLS_VERIFY_OPTIONAL, GV_TLS_VERIFY_REQUIRED } gv_tls_verify;

/* Make one, for servers or for clients: TLS 1.2 and newer, no certificates, no
 * trust, nothing verified. NULL without memory. Undo with gv_tls_ctx_free(). */
gv_tls_ctx *gv_tls_ctx_new(int server);
void gv_tls_ctx_free(gv_tls_ctx *ctx);

/* The rest returns 0, or GV_TLS_ERROR with the reason in gv_tls_ctx_error(). */
const char *gv_tls_ctx_error(const gv_tls_ctx *ctx);

int gv_tls_ctx_text(gv_tls_ctx *ctx, int which, const char *text);

/* Versions as in the protocol: 0x0303 is TLS 1.2, 0x0304 is 1.3. */
int gv_tls_ctx_versions(gv_tls_ctx *ctx, int lowest, int highest);

/* The chain, leaf first, and its private key, as PEM; `password` may be NULL. A context
 * can have one of each type of key. */
int gv_tls_ctx_certificate(gv_tls_ctx *ctx, const char *chain, int64_t chain_len, const char *key,
                           int64_t key_len, const char *password);

/* Certificates that are trusted: PEM or DER; with `name`, a server also names them to
 * its clients. Or a directory as of c_rehash; or what the system trusts. */
int gv_tls_ctx_trust(gv_tls_ctx *ctx, const char *data, int64_t len, int name);
int gv_tls_ctx_trust_folder(gv_tls_ctx *ctx, const char *path);
int gv_tls_ctx_trust_system(gv_tls_ctx *ctx);

/* How many certificates are trusted by gv_tls_ctx_trust(). */
int64_t gv_tls_ctx_trusted(const gv_tls_ctx *ctx);

/* PEM of revocation lists. From then on, the leaf (or the whole `chain`) must be on
 * none of them, and its issuer must have one. */
int gv_tls_ctx_revoked(gv_tls_ctx *ctx, const char *data, int64_t len, int chain);

int gv_tls_ctx_verify(gv_tls_ctx *ctx, int verify);

/* Protocols for ALPN, each behind a byte with its length. */
int gv_tls_ctx_alpn(gv_tls_ctx *ctx, const unsigned char *protocols, int64_t len);

/* Have a server's engines stop with GV_TLS_HELLO once they know which name the client
 * asks for. */
void gv_tls_ctx_ask(gv_tls_ctx *ctx, int on);

/* Sessions of another `identity` are not resumed (at most 32 bytes). `keys` encrypt a
 * server's tickets: 80 bytes, as OpenSSL wants them; NULL are fresh ones. */
int gv_tls_ctx_sessions(gv_tls_ctx *ctx, const unsigned char *identity, int64_t len,
                        const unsigned char *keys);

/* Write the secrets of all connections to a file descriptor, which stays the caller's,
 * for Wireshark; -1 ends it. */
void gv_tls_ctx_keylog(gv_tls_ctx *ctx, int fd);

/* DER of the OCSP response that a server staples; or have clients demand one. */
int gv_tls_ctx_staple(gv_tls_ctx *ctx, const unsigned char *der, int64_t len);
void gv_tls_ctx_check_staple(gv_tls_ctx *ctx, int on);

/* cdef: end */

enum { GV_TLS_TICKET_KEYS = 80, GV_TLS_ERROR_SIZE = 256 };

#include <openssl/ssl.h>

struct gv_tls_ctx {
    SSL_CTX *ssl;
    unsigned char *protocols; /* of a server, for ALPN */
    unsigned protocols_len;
    char *groups; /* for the key exchange, or NULL: ours */
    unsigned char *staple;
    int staple_len;
    int keylog;
    bool server;
    bool ask;
    bool check_staple;
    char error[GV_TLS_ERROR_SIZE];
};

/* What groups an engine has that was made with it. */
const char *gv_tls_ctx_groups(const gv_tls_ctx *ctx);

/* Our context of an OpenSSL's. */
gv_tls_ctx *gv_tls_ctx_of(SSL_CTX *ssl);

/* What one of OpenSSL's errors is in words; 0 is for one without. */
const char *gv_tls_reason(unsigned long code);

/* Empty OpenSSL's queue of errors, after putting the first one's words into `text`. */
void gv_tls_drain_errors(char *text, size_t size);

/* The callback of tls_trust.c: may a client accept what the server has stapled? */
int gv_tls_staple_is_good(SSL *ssl, void *unused);

#endif
