/* Addresses between Python's form and the system's. */
#ifndef GV_ADDRESS_H
#define GV_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* cdef: begin */

/* Of a socket. For IP, `text` is the numeric host; for Unix, the name, which
 * starts with a NUL if it is an abstract one. */
typedef struct {
    int family; /* AF_INET, AF_INET6, AF_UNIX, or 0: it has none */
    int port;
    uint32_t flow;
    uint32_t scope;
    int length; /* of text, in bytes; no NUL behind it counts */
    char text[128];
} gv_address;

/* cdef: end */

/* Room for an IP address of either kind. */
typedef union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} gv_sockaddr_ip;

/* Read a numeric host. Returns 0 or UV_EINVAL. */
int gv_address_parse(gv_sockaddr_ip *out, const char *host, int port, uint32_t flow,
                     uint32_t scope);

/* Return 0, or UV_EAFNOSUPPORT for a family that is not listed above. */
int gv_address_format(gv_address *out, const struct sockaddr *addr, size_t len);

/* The length for bind() and connect(). */
size_t gv_address_size(const gv_sockaddr_ip *addr);

#endif
