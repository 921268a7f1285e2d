/* What this process runs with, which need not be what it was compiled with.
 *
 * The libraries' own functions are all that is needed; they are repeated here for
 * the cdef, and the compiler checks that we say the same as they. */
#ifndef GV_VERSION_H
#define GV_VERSION_H

#include <http_parser.h>
#include <openssl/crypto.h>
#include <uv.h>

/* cdef: begin */

/* Both lent for ever; `which` is OPENSSL_VERSION_STRING. */
const char *uv_version_string(void);
const char *OpenSSL_version(int which);

/* major << 16 | minor << 8 | patch */
unsigned long http_parser_version(void);

/* cdef: end */

#endif
