/* TCP over streams: how one comes to be connected or bound. */
#ifndef GV_TCP_H
#define GV_TCP_H

#include "csrc/stream.h"

/* cdef: begin */

enum {
    GV_BIND_IPV6ONLY = 1,
    GV_BIND_REUSEPORT = 2 /* several sockets may listen on the port and share its clients */
};

/* Make a TCP handle. `family` is AF_INET or AF_INET6 if it is to be bound, or 0.
 * Returns its id or a negative code. Give it up with gv_stream_close() or
 * gv_stream_abort(). */
int64_t gv_tcp_new(gv_loop *loop, int family);

/* Bind to a numeric host. UV_EINVAL for one that was made without a family. */
int gv_tcp_bind(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                uint32_t scope, int flags);

/* Connect to a numeric host; GV_CONNECTED follows. UV_EALREADY while another
 * connect is under way, UV_EISCONN afterwards. */
int gv_tcp_connect(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                   uint32_t scope);

/* Take over an open TCP socket, connected, bound or listening. It stays the
 * caller's if this fails. */
int gv_tcp_open(gv_loop *loop, int64_t id, int fd);

/* Send small pieces at once (TCP_NODELAY). Accepted handles do. */
int gv_tcp_nodelay(gv_loop *loop, int64_t id, int on);

/* Ask a silent peer whether it is there (SO_KEEPALIVE), first after `delay_s`. */
int gv_tcp_keepalive(gv_loop *loop, int64_t id, int on, unsigned delay_s);

/* cdef: end */

#endif
