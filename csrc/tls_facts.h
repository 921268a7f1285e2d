/* What is known about a TLS connection, and about certificates. */
#ifndef GV_TLS_FACTS_H
#define GV_TLS_FACTS_H

#include "csrc/tls.h"

/* cdef: begin */

/* In OpenSSL's words, or NULL before the handshake is done; lent. */
const char *gv_tls_version(const gv_tls *tls);
const char *gv_tls_cipher(const gv_tls *tls);
const char *gv_tls_cipher_version(const gv_tls *tls);
int gv_tls_cipher_bits(const gv_tls *tls);

/* The protocol that ALPN has chosen: its length, which may be 0. Lent. */
int64_t gv_tls_alpn(const gv_tls *tls, const unsigned char **protocol);

/* Whether it goes on with a session of an earlier connection. */
int gv_tls_resumed(const gv_tls *tls);

/* Each of these copies to `data`, and returns how many bytes there are: more than `len`
 * if it was too small, 0 if there is none. */

/* DER of the peer's certificates: its own, then those it has sent for its chain. */
int64_t gv_tls_certificate(const gv_tls *tls, int index, unsigned char *data, int64_t len);

/* The session to resume with later, if it is new since this was asked for. */
int64_t gv_tls_session(gv_tls *tls, unsigned char *data, int64_t len);

/* RFC 5929, 3: the handshake's first Finished message. */
int64_t gv_tls_unique(const gv_tls *tls, unsigned char *data, int64_t len);

/* RFC 5929, 4: the hash of the server's certificate. */
int64_t gv_tls_end_point(const gv_tls *tls, unsigned char *data, int64_t len);

/* RFC 5705: `len` bytes of key, or 0. */
int64_t gv_tls_export(const gv_tls *tls, const char *label, int64_t label_len,
                      const unsigned char *context, int64_t context_len, unsigned char *data,
                      int64_t len);

/* What a certificate says, as text: names and values, with a NUL behind each. "=subject"
 * or "=issuer" stands before each set of a name's attributes, "=" behind the last. IP
 * addresses are in hexadecimal. */
int64_t gv_tls_describe(const unsigned char *der, int64_t der_len, char *data, int64_t len);

/* cdef: end */

#endif
