/* Accepting, for stream.h.
 *
 * libuv's own accept loop meets EMFILE by accepting a client with a spare
 * descriptor and closing it, and then spins; and it holds one connection back
 * while nobody takes it. So we watch the listening socket and accept ourselves. */
#include "csrc/stream.h"

#include <fcntl.h>
#ifdef __linux__
#include <linux/filter.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int accept_fd(int listener, struct sockaddr *addr, socklen_t *len) {
#ifdef __linux__
    return accept4(listener, addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    int fd = accept(listener, addr, len);

    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* libuv makes it non-blocking */
    return fd;
#endif
}

static int adopt(gv_stream *listener, int fd, const struct sockaddr *addr, socklen_t len) {
    gv_loop *loop = listener->handle.loop;
    gv_stream *stream = gv_stream_new(loop, listener->handle.type);
    int rc;

    if (stream == NULL)
        return UV_ENOMEM;
    rc = listener->handle.type == GV_TCP ? gv_tcp_adopt(stream, fd) : gv_pipe_adopt(stream, fd);
    if (rc < 0)
        return rc;
    if (listener->handle.type == GV_TCP && len <= sizeof(stream->peer))
        memcpy(&stream->peer, addr, len);
    gv_stream_opened(stream);
    gv_ring_put(&loop->ring, listener->handle.source.id, GV_ACCEPTED, stream->handle.source.id, 0);
    return 0;
}

static void pause_accepting(gv_stream *stream, int error) {
    gv_loop *loop = stream->handle.loop;

    uv_poll_stop(stream->listener);
    stream->handle.deadline.total_at = gv_stream_now(stream) + GV_ACCEPT_PAUSE;
    gv_stream_arm(stream);
    if (stream->short_of)
        return;
    stream->short_of = true;
    stream->handle.source.status = error;
    gv_ring_report(&loop->ring, &stream->handle.source, GV_PAUSED);
}

/* Take one connection. Returns 0, or the code for which to stop. */
static int accept_one(gv_stream *stream, int listener) {
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd = accept_fd(listener, (struct sockaddr *) &addr, &len);
    int rc;

    if (fd < 0)
        return errno == ECONNABORTED || errno == EINTR ? 0 : uv_translate_sys_error(errno);
    rc = adopt(stream, fd, (const struct sockaddr *) &addr, len);
    if (rc < 0)
        close(fd);
    else
        stream->epoch = stream->handle.loop->epoch;
    return rc;
}

/* Take up to a batch of them, as long as there is room. */
static int accept_some(gv_stream *stream, int *count) {
    int fd = gv_handle_fd(&stream->handle);
    int rc;

    for (*count = 0; *count < GV_ACCEPT_BATCH; ++*count) {
        if (!gv_ring_room(&stream->handle.loop->ring)) {
            gv_stream_refused(stream);
            return 0;
        }
        rc = accept_one(stream, fd);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void accept_cb(uv_poll_t *poll, int status, int events) {
    gv_stream *stream = poll->data;
    int count;

    (void) events;
    if (gv_stream_has_had_its_turn(stream))
        return;
    if (status == 0)
        status = accept_some(stream, &count);
    if (status == UV_EAGAIN)
        stream->short_of = false;
    else if (status < 0)
        pause_accepting(stream, status);
}

void gv_stream_resume_accepting(gv_stream *stream) {
    int rc;

    if (stream->listener == NULL || stream->full)
        return;
    rc = gv_handle_try(&stream->handle);
    if (rc == 0)
        rc = uv_poll_start(stream->listener, UV_READABLE, accept_cb);
    if (rc < 0)
        gv_stream_break(stream, rc);
}

static int start(gv_stream *stream, int fd, int backlog) {
    gv_loop *loop = stream->handle.loop;
    int rc;

    if (listen(fd, backlog) < 0)
        return uv_translate_sys_error(errno);
    stream->listener = malloc(sizeof(*stream->listener));
    if (stream->listener == NULL)
        return UV_ENOMEM;
    rc = uv_poll_init(&loop->uv, stream->listener, fd);
    if (rc < 0) {
        free(stream->listener);
        stream->listener = NULL;
        return rc;
    }
    stream->listener->data = stream;
    /* Other processes may accept from it, and would wait in that if we gave it back. */
    stream->handle.was_blocking = false;
    stream->state = GV_STREAM_LISTENING;
    gv_stream_resume_accepting(stream);
    return 0;
}

int gv_stream_listen(gv_loop *loop, int64_t id, int backlog) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);
    int fd;

    if (stream == NULL)
        return rc;
    if (stream->state != GV_STREAM_NEW)
        return stream->state == GV_STREAM_LISTENING ? UV_EALREADY : UV_EINVAL;
    fd = gv_handle_fd(&stream->handle);
    return fd < 0 ? UV_EINVAL : start(stream, fd, backlog);
}

static gv_stream *find_listener(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream != NULL && stream->listener == NULL)
        *rc = UV_EINVAL;
    return *rc < 0 ? NULL : stream;
}

int gv_stream_accept(gv_loop *loop, int64_t id, int on) {
    int rc;
    gv_stream *stream = find_listener(loop, id, &rc);

    if (stream == NULL)
        return rc;
    stream->full = on == 0;
    if (stream->full)
        uv_poll_stop(stream->listener);
    else
        gv_stream_resume_accepting(stream);
    return 0;
}

#ifdef __linux__

/* Drops TCP segments with SYN; an ACK may still end the handshake of who has begun one. */
static int drop_syn(int fd) {
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the flags of the header */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0
               ? uv_translate_sys_error(errno)
               : 0;
}

#else

static int drop_syn(int fd) {
    (void) fd;
    return UV_ENOTSUP;
}

#endif

int gv_stream_refuse(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_listener(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (stream->handle.type != GV_TCP)
        return UV_ENOTSUP;
    return drop_syn(gv_handle_fd(&stream->handle));
}

int gv_stream_accept_rest(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_listener(loop, id, &rc);
    int count;

    if (stream == NULL)
        return rc;
    if (!gv_ring_room(&loop->ring))
        return 1;
    rc = accept_some(stream, &count);
    if (rc == 0 || count > 0)
        return 1;
    return rc == UV_EAGAIN ? 0 : rc;
}
