/* Datagrams over IP: what was queued in a turn leaves at the start of the next poll, and what came
 * is read many at a time. */
#ifndef GV_UDP_H
#define GV_UDP_H

#include "csrc/address.h"
#include "csrc/loop.h"

/* cdef: begin */

/* A datagram comes as GV_DATA: the sender's address, in so many bytes, and what it has sent. */
enum { GV_UDP_ADDRESS = 32 };

/* Membership in a multicast group. */
enum { GV_UDP_LEAVE, GV_UDP_JOIN };

typedef enum {
    GV_UDP_BROADCAST,      /* 0 or 1 */
    GV_UDP_TTL,            /* 1 to 255 */
    GV_UDP_MULTICAST_TTL,  /* 1 to 255 */
    GV_UDP_MULTICAST_LOOP, /* 0 or 1 */
    GV_UDP_RECEIVE_BUFFER, /* bytes; the kernel has its own limit */
    GV_UDP_SEND_BUFFER
} gv_udp_option;

/* Make a handle for AF_INET or AF_INET6. Returns an id or a negative code. */
int64_t gv_udp_new(gv_loop *loop, int family);

/* Take over a datagram socket. On failure it stays the caller's. */
int64_t gv_udp_open(gv_loop *loop, int fd);

/* `flags` are those of gv_tcp_bind(). */
int gv_udp_bind(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                uint32_t scope, int flags);

/* Talk to this peer only; no host ends that. */
int gv_udp_connect(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                   uint32_t scope);

/* Queue a copy of one datagram, for the peer if there is no host. Returns how many bytes are
 * queued now, or a negative code. What the kernel then does not take is dropped, and
 * GV_REFUSED says so. */
int64_t gv_udp_send(gv_loop *loop, int64_t id, const char *data, int64_t len, const char *host,
                    int port, uint32_t flow, uint32_t scope);

/* Return how many bytes are queued. */
int64_t gv_udp_pending(gv_loop *loop, int64_t id);

/* As gv_stream_watermarks(). */
int gv_udp_watermarks(gv_loop *loop, int64_t id, int64_t high, int64_t low);

/* Both at once. UV_ENOBUFS if the arena is too small for one datagram. */
int gv_udp_read_start(gv_loop *loop, int64_t id);
int gv_udp_read_stop(gv_loop *loop, int64_t id);

/* Join or leave a group, on the interface with that address (or, for IPv6, scope); only what
 * `source` sends, unless that is NULL. */
int gv_udp_member(gv_loop *loop, int64_t id, int join, const char *group, const char *local,
                  const char *source);

/* Send to groups through this interface. */
int gv_udp_interface(gv_loop *loop, int64_t id, const char *local);

int gv_udp_set(gv_loop *loop, int64_t id, int option, int64_t value);

/* Close behind what is queued. Returns how many bytes that is. */
int64_t gv_udp_close(gv_loop *loop, int64_t id);

/* As gv_stream_name(), but UV_ENOTCONN where there is no peer. */
int gv_udp_name(gv_loop *loop, int64_t id, int peer, gv_address *out);

/* The same, for who stands before a datagram that came, or what gv_udp_target() has made:
 * GV_UDP_ADDRESS bytes. */
int64_t gv_udp_send_to(gv_loop *loop, int64_t id, const char *data, int64_t len,
                       const char *address);
int gv_udp_target(char *address, const char *host, int port, uint32_t flow, uint32_t scope);

/* Parse what stands before a datagram. */
int gv_udp_sender(const char *address, gv_address *out);

/* cdef: end */

typedef struct gv_datagram gv_datagram;
struct gv_datagram {
    gv_datagram *next;
    size_t len;
    gv_sockaddr_ip to; /* family 0: the peer */
    char data[];
};

typedef struct {
    gv_handle handle;
    gv_datagram *first;
    gv_datagram *last;
    size_t size; /* bytes queued */
    size_t high;
    size_t low;
    uv_udp_send_t *send; /* libuv waits until this can be sent, or NULL */
    bool above;          /* the high watermark, so that GV_DRAIN is due */
    bool closing;        /* as soon as the queue is empty */
    bool connected;
    size_t asked;      /* how many datagrams a read may bring */
    size_t came;       /* how many it has brought so far */
    size_t emptied_at; /* where the arena ended when a read had taken all there was, or 0 */
} gv_udp;

/* Return the handle, or NULL and the code to return in `rc`. */
gv_udp *gv_udp_find(gv_loop *loop, int64_t id, int *rc);

#endif
