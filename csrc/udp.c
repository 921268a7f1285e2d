#include "csrc/udp.h"

#include "csrc/tcp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DATAGRAM_MAX = 65536,                              /* what libuv wants of a buffer for one */
    DATAGRAM_ROOM = DATAGRAM_MAX + 2 * GV_ARENA_ALIGN, /* of the arena, with the address */
    AT_ONCE = 20 /* of these it reads or sends with one system call */
};

/* --- sending --- */

static void refused(gv_udp *udp, int error) {
    gv_handle *handle = &udp->handle;

    handle->source.status = error;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_REFUSED);
}

static const struct sockaddr *target(const gv_datagram *datagram) {
    return datagram->to.any.sa_family == 0 ? NULL : &datagram->to.any;
}

static void drop_first(gv_udp *udp) {
    gv_datagram *datagram = udp->first;

    udp->first = datagram->next;
    if (udp->first == NULL)
        udp->last = NULL;
    udp->size -= datagram->len;
    free(datagram);
}

static void finish(gv_udp *udp) {
    gv_handle *handle = &udp->handle;

    if (udp->above && udp->size <= udp->low) {
        udp->above = false;
        gv_ring_report(&handle->loop->ring, &handle->source, GV_DRAIN);
    }
    if (udp->closing && udp->first == NULL)
        gv_handle_shut(handle);
}

static void send_queue(gv_udp *udp);

static void send_cb(uv_udp_send_t *req, int status) {
    gv_udp *udp = req->handle->data;

    free(req);
    udp->send = NULL;
    if (udp->handle.shut || status == UV_ECANCELED)
        return;
    if (status < 0)
        refused(udp, status);
    drop_first(udp);
    send_queue(udp);
    finish(udp);
}

/* There is no room in the socket: let libuv wait for it with the first one. */
static void wait_for_room(gv_udp *udp) {
    uv_buf_t buf = uv_buf_init(udp->first->data, (unsigned) udp->first->len);
    int rc = UV_ENOMEM;

    udp->send = malloc(sizeof(*udp->send));
    if (udp->send != NULL)
        rc = uv_udp_send(udp->send, &udp->handle.uv.udp, &buf, 1, target(udp->first), send_cb);
    if (rc >= 0)
        return;
    free(udp->send);
    udp->send = NULL;
    refused(udp, rc);
    drop_first(udp);
}

#ifdef __linux__
/* Return how many have left, or a negative code for the first. */
static int send_some(gv_udp *udp) {
    struct mmsghdr messages[AT_ONCE];
    struct iovec parts[AT_ONCE];
    unsigned count = 0;
    int sent;

    memset(messages, 0, sizeof(messages));
    for (gv_datagram *datagram = udp->first; datagram != NULL && count < AT_ONCE;
         datagram = datagram->next, count++) {
        struct msghdr *header = &messages[count].msg_hdr;

        parts[count].iov_base = datagram->data;
        parts[count].iov_len = datagram->len;
        header->msg_iov = &parts[count];
        header->msg_iovlen = 1;
        header->msg_name = (void *) (uintptr_t) target(datagram);
        header->msg_namelen =
            header->msg_name == NULL ? 0 : (socklen_t) gv_address_size(&datagram->to);
    }
    do
        sent = sendmmsg(gv_handle_fd(&udp->handle), messages, count, MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}
#else
static int send_some(gv_udp *udp) {
    uv_buf_t buf = uv_buf_init(udp->first->data, (unsigned) udp->first->len);
    int rc = uv_udp_try_send(&udp->handle.uv.udp, &buf, 1, target(udp->first));

    return rc < 0 ? rc : 1;
}
#endif

static void send_queue(gv_udp *udp) {
    while (udp->first != NULL && udp->send == NULL) {
        int sent = send_some(udp);

        if (sent == UV_EAGAIN || sent == UV_ENOBUFS) {
            wait_for_room(udp);
        } else if (sent < 0) {
            refused(udp, sent);
            drop_first(udp);
        }
        for (; sent > 0; sent--)
            drop_first(udp);
    }
}

/* --- receiving --- */

/* However many come with one call, there must be room for all of them. */
static void alloc_cb(uv_handle_t *uv, size_t suggested, uv_buf_t *buf) {
    gv_udp *udp = uv->data;
    gv_loop *loop = udp->handle.loop;
    gv_ring *ring = &loop->ring;
    size_t room = (ring->arena_size - ring->arena_used) / DATAGRAM_ROOM;
    size_t records = (size_t) (ring->capacity - ring->count);

    (void) suggested;
    buf->base = NULL;
    buf->len = 0;
    if (udp->emptied_at == ring->arena_used && ring->arena_used > 0)
        room = 0; /* libuv would read once more in this turn, and find nothing */
    udp->emptied_at = 0;
    if (room > AT_ONCE)
        room = AT_ONCE;
    if (room > records)
        room = records;
    if (room == 0 || !gv_ring_room(ring))
        return;
    if (loop->datagrams == NULL)
        loop->datagrams = malloc((size_t) AT_ONCE * DATAGRAM_MAX);
    if (loop->datagrams == NULL)
        return;
    buf->base = loop->datagrams;
    buf->len = room * DATAGRAM_MAX;
    udp->asked = room;
    udp->came = 0;
}

static void recv_cb(uv_udp_t *uv, ssize_t nread, const uv_buf_t *buf, const struct sockaddr *from,
                    unsigned flags) {
    gv_udp *udp = uv->data;
    gv_ring *ring = &udp->handle.loop->ring;
    gv_sockaddr_ip address = {.any = {.sa_family = 0}};
    char *place;

    if (flags & UV_UDP_MMSG_CHUNK)
        udp->came++;
    if (flags & UV_UDP_MMSG_FREE)
        udp->emptied_at = udp->came < udp->asked ? ring->arena_used : 0;
    if (nread < 0 && nread != UV_ENOBUFS)
        refused(udp, (int) nread);
    if (nread < 0 || from == NULL) /* nothing more for now */
        return;
    memcpy(&address, from, from->sa_family == AF_INET ? sizeof(address.in) : sizeof(address.in6));
    place = ring->arena + ring->arena_used;
    memset(place, 0, GV_UDP_ADDRESS);
    memcpy(place, &address, sizeof(address));
    memcpy(place + GV_UDP_ADDRESS, buf->base, (size_t) nread);
    gv_ring_put_data(ring, udp->handle.source.id, (size_t) nread + GV_UDP_ADDRESS);
}

/* --- the handle --- */

static void flush(gv_handle *handle) {
    gv_udp *udp = (gv_udp *) handle;

    send_queue(udp);
    finish(udp);
}

static void never(gv_handle *handle, uint64_t now) {
    (void) handle;
    (void) now;
}

static void ignore(gv_handle *handle) {
    (void) handle;
}

static void closed(gv_handle *handle) {
    gv_udp *udp = (gv_udp *) handle;

    while (udp->first != NULL)
        drop_first(udp);
}

static const gv_handle_ops OPS = {flush, never, ignore, NULL, closed, NULL};

static int64_t make(gv_loop *loop, int family) {
    int rc = gv_loop_check(loop);
    gv_udp *udp;

    if (rc < 0)
        return rc;
    udp = calloc(1, sizeof(*udp));
    if (udp == NULL)
        return UV_ENOMEM;
    udp->handle.type = GV_UDP;
    udp->high = udp->low = SIZE_MAX;
    rc = gv_handle_add(loop, &udp->handle, &OPS);
    if (rc < 0) {
        free(udp);
        return rc;
    }
    rc = uv_udp_init_ex(&loop->uv, &udp->handle.uv.udp, (unsigned) family | UV_UDP_RECVMMSG);
    if (rc < 0) {
        gv_handle_drop(&udp->handle);
        free(udp);
        return rc;
    }
    udp->handle.uv.any.data = udp;
    gv_handle_claim(&udp->handle);
    return udp->handle.source.id;
}

gv_udp *gv_udp_find(gv_loop *loop, int64_t id, int *rc) {
    gv_handle *handle;

    *rc = gv_loop_check(loop);
    if (*rc < 0)
        return NULL;
    handle = gv_handle_find(loop, id);
    if (handle == NULL || handle->shut)
        *rc = UV_EBADF;
    else if (handle->type != GV_UDP)
        *rc = UV_EINVAL;
    return *rc < 0 ? NULL : (gv_udp *) handle;
}

int64_t gv_udp_new(gv_loop *loop, int family) {
    if (family != AF_INET && family != AF_INET6)
        return UV_EAFNOSUPPORT;
    return make(loop, family);
}

static int check_datagrams(int fd) {
    int type = 0;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return uv_translate_sys_error(errno);
    return type == SOCK_DGRAM ? 0 : UV_EPROTOTYPE;
}

/* A system call, so it is made only when that may have changed. */
static void see_peer(gv_udp *udp) {
    struct sockaddr_storage name;
    int len = sizeof(name);

    udp->connected = uv_udp_getpeername(&udp->handle.uv.udp, (struct sockaddr *) &name, &len) == 0;
}

int64_t gv_udp_open(gv_loop *loop, int fd) {
    int64_t id;
    int rc = gv_loop_check(loop);
    gv_udp *udp;

    if (rc == 0)
        rc = check_datagrams(fd);
    if (rc == 0 && gv_fds_owned(&loop->fds, fd))
        rc = UV_EEXIST;
    if (rc < 0)
        return rc;
    id = make(loop, AF_UNSPEC);
    udp = id < 0 ? NULL : gv_udp_find(loop, id, &rc);
    if (udp == NULL)
        return id;
    rc = uv_udp_open(&udp->handle.uv.udp, fd);
    if (rc < 0) {
        gv_handle_shut(&udp->handle);
        return rc;
    }
    gv_handle_claim(&udp->handle);
    see_peer(udp);
    return id;
}

static int set_on(int fd, int level, int name) {
    int on = 1;

    return setsockopt(fd, level, name, &on, sizeof(on)) < 0 ? uv_translate_sys_error(errno) : 0;
}

int gv_udp_bind(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                uint32_t scope, int flags) {
    gv_sockaddr_ip addr;
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    rc = gv_address_parse(&addr, host, port, flow, scope);
    if (rc == 0 && (flags & GV_BIND_REUSEPORT))
        rc = set_on(gv_handle_fd(&udp->handle), SOL_SOCKET, SO_REUSEPORT);
    if (rc < 0)
        return rc;
    return uv_udp_bind(&udp->handle.uv.udp, &addr.any,
                       flags & GV_BIND_IPV6ONLY ? UV_UDP_IPV6ONLY : 0);
}

int gv_udp_connect(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                   uint32_t scope) {
    gv_sockaddr_ip addr;
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    rc = host == NULL ? 0 : gv_address_parse(&addr, host, port, flow, scope);
    if (rc == 0)
        rc = uv_udp_connect(&udp->handle.uv.udp, host == NULL ? NULL : &addr.any);
    see_peer(udp);
    return rc;
}

static int check_send(const gv_udp *udp, const char *data, int64_t len, bool has_target) {
    if (udp->closing)
        return UV_ESHUTDOWN;
    if (len < 0 || (data == NULL && len > 0))
        return UV_EINVAL;
    if (len > DATAGRAM_MAX)
        return UV_EMSGSIZE;
    if (has_target == udp->connected)
        return has_target ? UV_EISCONN : UV_EDESTADDRREQ;
    return 0;
}

static int64_t queue(gv_udp *udp, const char *data, int64_t len, const gv_sockaddr_ip *to) {
    gv_datagram *datagram = malloc(sizeof(*datagram) + (size_t) len);

    if (datagram == NULL)
        return UV_ENOMEM;
    datagram->to = *to;
    datagram->next = NULL;
    datagram->len = (size_t) len;
    if (len > 0)
        memcpy(datagram->data, data, (size_t) len);
    if (udp->last == NULL)
        udp->first = datagram;
    else
        udp->last->next = datagram;
    udp->last = datagram;
    udp->size += (size_t) len;
    if (udp->size > udp->high)
        udp->above = true;
    gv_handle_mark(&udp->handle);
    return (int64_t) udp->size;
}

int64_t gv_udp_send(gv_loop *loop, int64_t id, const char *data, int64_t len, const char *host,
                    int port, uint32_t flow, uint32_t scope) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);
    gv_sockaddr_ip to = {.any = {.sa_family = 0}};

    if (udp == NULL)
        return rc;
    rc = check_send(udp, data, len, host != NULL);
    if (rc == 0 && host != NULL)
        rc = gv_address_parse(&to, host, port, flow, scope);
    return rc < 0 ? rc : queue(udp, data, len, &to);
}

int64_t gv_udp_send_to(gv_loop *loop, int64_t id, const char *data, int64_t len,
                       const char *address) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);
    gv_sockaddr_ip to;

    if (udp == NULL)
        return rc;
    if (address == NULL)
        return UV_EINVAL;
    memcpy(&to, address, sizeof(to));
    rc = check_send(udp, data, len, true);
    if (rc == 0 && to.any.sa_family != AF_INET && to.any.sa_family != AF_INET6)
        rc = UV_EINVAL;
    return rc < 0 ? rc : queue(udp, data, len, &to);
}

int64_t gv_udp_pending(gv_loop *loop, int64_t id) {
    int rc;
    const gv_udp *udp = gv_udp_find(loop, id, &rc);

    return udp == NULL ? rc : (int64_t) udp->size;
}

int gv_udp_watermarks(gv_loop *loop, int64_t id, int64_t high, int64_t low) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    if (low < 0 || low > high)
        return UV_EINVAL;
    udp->high = (size_t) high;
    udp->low = (size_t) low;
    return 0;
}

int gv_udp_read_start(gv_loop *loop, int64_t id) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    if (loop->ring.arena_size < DATAGRAM_ROOM)
        return UV_ENOBUFS;
    rc = uv_udp_recv_start(&udp->handle.uv.udp, alloc_cb, recv_cb);
    return rc == UV_EALREADY ? 0 : rc;
}

int gv_udp_read_stop(gv_loop *loop, int64_t id) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    return udp == NULL ? rc : uv_udp_recv_stop(&udp->handle.uv.udp);
}

int64_t gv_udp_close(gv_loop *loop, int64_t id) {
    int rc;
    gv_udp *udp = gv_udp_find(loop, id, &rc);

    if (udp == NULL)
        return rc;
    if (udp->closing)
        return UV_EALREADY;
    uv_udp_recv_stop(&udp->handle.uv.udp);
    if (udp->first == NULL) {
        gv_handle_shut(&udp->handle);
        return 0;
    }
    udp->closing = true;
    gv_handle_mark(&udp->handle);
    return (int64_t) udp->size;
}
