#include "csrc/tcp.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

static int init(gv_stream *stream, int family) {
    gv_loop *loop = stream->handle.loop;
    int rc = uv_tcp_init_ex(&loop->uv, &stream->handle.uv.tcp, (unsigned) family);

    if (rc < 0) {
        gv_handle_drop(&stream->handle);
        free(stream);
        return rc;
    }
    stream->handle.uv.any.data = stream;
    gv_handle_claim(&stream->handle);
    return 0;
}

int gv_tcp_adopt(gv_stream *stream, int fd) {
    int rc = init(stream, AF_UNSPEC);

    if (rc < 0)
        return rc;
    rc = uv_tcp_open(&stream->handle.uv.tcp, fd);
    if (rc < 0) /* libuv knows the handle by now */
        gv_handle_shut(&stream->handle);
    else
        gv_handle_claim(&stream->handle);
    return rc;
}

int64_t gv_tcp_new(gv_loop *loop, int family) {
    int rc = gv_loop_check(loop);
    gv_stream *stream;

    if (rc < 0)
        return rc;
    if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
        return UV_EAFNOSUPPORT;
    stream = gv_stream_new(loop, GV_TCP);
    if (stream == NULL)
        return UV_ENOMEM;
    rc = init(stream, family);
    return rc < 0 ? rc : stream->handle.source.id;
}

static gv_stream *find_tcp(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream != NULL && stream->handle.type != GV_TCP) {
        *rc = UV_EINVAL;
        return NULL;
    }
    return stream;
}

static int set_option(int fd, int level, int name) {
    int on = 1;

    return setsockopt(fd, level, name, &on, sizeof(on)) < 0 ? uv_translate_sys_error(errno) : 0;
}

static int set_options(int fd, int flags) {
    int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR);

    /* Accepted sockets inherit it, which spares a call for each. */
    if (rc == 0)
        rc = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (rc == 0 && (flags & GV_BIND_IPV6ONLY))
        rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (rc == 0 && (flags & GV_BIND_REUSEPORT))
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    return rc;
}

int gv_tcp_bind(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                uint32_t scope, int flags) {
    gv_sockaddr_ip addr;
    int rc;
    const gv_stream *stream = find_tcp(loop, id, &rc);
    int fd;

    if (stream == NULL)
        return rc;
    fd = gv_handle_fd(&stream->handle);
    if (fd < 0 || stream->state != GV_STREAM_NEW)
        return UV_EINVAL;
    rc = gv_address_parse(&addr, host, port, flow, scope);
    if (rc == 0)
        rc = set_options(fd, flags);
    if (rc < 0)
        return rc;
    /* uv_tcp_bind() keeps EADDRINUSE for later; we want it now. */
    if (bind(fd, &addr.any, (socklen_t) gv_address_size(&addr)) < 0)
        return uv_translate_sys_error(errno);
    return 0;
}

static void connect_cb(uv_connect_t *req, int status) {
    gv_stream *stream = req->handle->data;
    gv_handle *handle = &stream->handle;

    free(req);
    if (status == UV_ECANCELED) /* closed meanwhile */
        return;
    if (status == 0)
        gv_stream_opened(stream);
    else
        stream->state = GV_STREAM_NEW;
    handle->source.status = status;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_CONNECTED);
}

static int check_connect(const gv_stream *stream) {
    switch (stream->state) {
    case GV_STREAM_NEW:
        return 0;
    case GV_STREAM_CONNECTING:
        return UV_EALREADY;
    case GV_STREAM_OPEN:
        return UV_EISCONN;
    default:
        return UV_EINVAL;
    }
}

int gv_tcp_connect(gv_loop *loop, int64_t id, const char *host, int port, uint32_t flow,
                   uint32_t scope) {
    gv_sockaddr_ip addr;
    uv_connect_t *req;
    int rc;
    gv_stream *stream = find_tcp(loop, id, &rc);

    if (stream == NULL)
        return rc;
    rc = check_connect(stream);
    if (rc == 0)
        rc = gv_address_parse(&addr, host, port, flow, scope);
    if (rc < 0)
        return rc;
    req = malloc(sizeof(*req));
    if (req == NULL)
        return UV_ENOMEM;
    rc = uv_tcp_connect(req, &stream->handle.uv.tcp, &addr.any, connect_cb);
    if (rc < 0) {
        free(req);
        return rc;
    }
    gv_handle_claim(&stream->handle);
    stream->state = GV_STREAM_CONNECTING;
    stream->peer = addr;
    return 0;
}

/* What kind of socket is that? Returns 0 for TCP. */
static int check_socket(int fd) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    socklen_t size = sizeof(int);
    int type;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        getsockname(fd, (struct sockaddr *) &addr, &len) < 0)
        return uv_translate_sys_error(errno);
    if (type != SOCK_STREAM || (addr.ss_family != AF_INET && addr.ss_family != AF_INET6))
        return UV_EINVAL;
    return 0;
}

int gv_tcp_open(gv_loop *loop, int64_t id, int fd) {
    int rc;
    gv_stream *stream = find_tcp(loop, id, &rc);
    socklen_t len = sizeof(stream->peer);

    if (stream == NULL)
        return rc;
    if (stream->state != GV_STREAM_NEW || gv_handle_fd(&stream->handle) >= 0)
        return UV_EINVAL;
    rc = check_socket(fd);
    if (rc == 0)
        rc = gv_stream_take(stream, fd);
    if (rc < 0)
        return rc;
    if (getpeername(fd, &stream->peer.any, &len) == 0)
        gv_stream_opened(stream);
    return 0;
}

int gv_tcp_nodelay(gv_loop *loop, int64_t id, int on) {
    int rc;
    gv_stream *stream = find_tcp(loop, id, &rc);

    return stream == NULL ? rc : uv_tcp_nodelay(&stream->handle.uv.tcp, on != 0);
}

int gv_tcp_keepalive(gv_loop *loop, int64_t id, int on, unsigned delay_s) {
    int rc;
    gv_stream *stream = find_tcp(loop, id, &rc);

    return stream == NULL ? rc : uv_tcp_keepalive(&stream->handle.uv.tcp, on != 0, delay_s);
}
