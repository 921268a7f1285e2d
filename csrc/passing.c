#include "csrc/passing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a stream needs to pass descriptors. Those that came are a ring of `limit` +
 * GV_PASS_MOST: reading stops at `limit`, and the last message fits in any case. */
struct gv_passing {
    uv_poll_t poll;
    uv_timer_t retry;
    gv_stream *stream;
    int open;   /* libuv handles that are not closed */
    int events; /* that the poll waits for */
    bool blocked;
    bool told; /* that nobody takes them */
    int limit;
    int first;
    int count;
    int fds[];
};

typedef union {
    struct cmsghdr align;
    char one[CMSG_SPACE(sizeof(int))];
    char most[CMSG_SPACE(sizeof(int) * GV_PASS_MOST)];
} control_data;

static int capacity(const gv_passing *passing) {
    return passing->limit + GV_PASS_MOST;
}

static void put(gv_passing *passing, int fd) {
    passing->fds[(passing->first + passing->count) % capacity(passing)] = fd;
    passing->count++;
}

static int take(gv_passing *passing) {
    int fd = passing->fds[passing->first];

    passing->first = (passing->first + 1) % capacity(passing);
    passing->count--;
    return fd;
}

/* Receiving. */

static void collect(gv_passing *passing, struct msghdr *message) {
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        size_t i;

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
#ifndef MSG_CMSG_CLOEXEC
            fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
            put(passing, fd);
        }
    }
}

/* Read once. Returns how many bytes, or a code; in `lost`, whether there were more
 * descriptors than we may have. */
static ssize_t receive(gv_stream *stream, uv_buf_t *buf, bool *lost) {
    control_data control;
    struct msghdr message = {.msg_iov = (struct iovec *) buf,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int flags = 0;
    ssize_t got;

#ifdef MSG_CMSG_CLOEXEC
    flags |= MSG_CMSG_CLOEXEC;
#endif
    do
        got = recvmsg(gv_handle_fd(&stream->handle), &message, flags);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return uv_translate_sys_error(errno);
    collect(stream->passing, &message);
    *lost = (message.msg_flags & MSG_CTRUNC) != 0;
    return got == 0 ? UV_EOF : got;
}

static bool is_full(gv_stream *stream) {
    gv_passing *passing = stream->passing;

    if (passing->count < passing->limit)
        return false;
    if (!passing->told) {
        passing->told = true;
        stream->handle.source.status = UV_ENOBUFS;
        gv_ring_report(&stream->handle.loop->ring, &stream->handle.source, GV_PAUSED);
    }
    return true;
}

static void receive_all(gv_stream *stream) {
    bool lost = false;
    uv_buf_t buf;
    int i;

    for (i = 0; i < GV_PASS_READS && stream->reading && !is_full(stream); i++) {
        ssize_t got;

        if (!gv_stream_room(stream, &buf))
            return;
        got = receive(stream, &buf, &lost);
        if (got == UV_EAGAIN)
            return;
        gv_stream_got(stream, got);
        if (lost)
            gv_stream_break(stream, UV_EMFILE);
    }
}

/* Sending. */

static ssize_t send_once(const gv_stream *stream, uv_buf_t *bufs, unsigned count) {
    int fd = stream->out.first->fd;
    control_data control;
    struct msghdr message = {.msg_iov = (struct iovec *) bufs, .msg_iovlen = count};
    int flags = 0;
    ssize_t sent;

#ifdef MSG_NOSIGNAL
    flags |= MSG_NOSIGNAL;
#endif
    if (fd >= 0) {
        struct cmsghdr *part;

        memset(&control, 0, sizeof(control.one));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.one);
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(part), &fd, sizeof(fd));
    }
    do
        sent = sendmsg(gv_handle_fd(&stream->handle), &message, flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

static void send_and_finish(gv_stream *stream) {
    if (stream->error == 0)
        gv_passing_send(stream);
    if (!stream->handle.shut)
        gv_stream_finish(stream);
}

static void retry_cb(uv_timer_t *timer) {
    uv_stop(timer->loop); /* what this reports must not wait until something else comes */
    send_and_finish(((gv_passing *) timer->data)->stream);
}

/* Linux lets no more descriptors be under way than a process may have open. */
static bool may_get_better(ssize_t code) {
    return code == UV_ENOBUFS || code == UV_ENOMEM || code == uv_translate_sys_error(ETOOMANYREFS);
}

static void send_later(gv_stream *stream, ssize_t code) {
    gv_passing *passing = stream->passing;
    int rc = 0;

    if (may_get_better(code)) {
        uv_update_time(&stream->handle.loop->uv);
        uv_timer_start(&passing->retry, retry_cb, GV_PASS_RETRY_MS, 0);
    } else if (code != UV_EAGAIN) {
        gv_stream_break(stream, (int) code);
        return;
    } else if (!passing->blocked) {
        passing->blocked = true;
        rc = gv_passing_watch(stream);
    }
    if (rc < 0)
        gv_stream_break(stream, rc);
    else
        gv_stream_waits_to_write(stream);
}

void gv_passing_send(gv_stream *stream) {
    gv_passing *passing = stream->passing;
    uv_buf_t bufs[GV_IOVS];

    while (stream->out.first != NULL) {
        unsigned count = gv_outqueue_gather(&stream->out, bufs, GV_IOVS);
        ssize_t sent = send_once(stream, bufs, count);

        if (sent < 0) {
            send_later(stream, sent);
            return;
        }
        gv_stream_consumed(stream, (size_t) sent);
    }
    passing->blocked = false;
    gv_passing_watch(stream); /* for less than before, which does not fail */
}

int gv_passing_end(const gv_stream *stream) {
    int rc = shutdown(gv_handle_fd(&stream->handle), SHUT_WR);

    return rc < 0 && errno != ENOTCONN ? uv_translate_sys_error(errno) : 0;
}

/* Waiting for either. */

static void poll_cb(uv_poll_t *poll, int status, int events) {
    gv_passing *passing = poll->data;
    gv_stream *stream = passing->stream;
    int rc;

    if (status < 0) { /* libuv has stopped; what is wrong, the calls themselves say */
        events = passing->events;
        passing->events = 0;
    }
    if (events & UV_READABLE)
        receive_all(stream);
    if (!stream->handle.shut && (events & UV_WRITABLE))
        send_and_finish(stream);
    if (stream->handle.shut)
        return;
    rc = gv_passing_watch(stream);
    if (rc < 0)
        gv_stream_break(stream, rc);
}

int gv_passing_watch(gv_stream *stream) {
    gv_passing *passing = stream->passing;
    bool reads = stream->reading && !is_full(stream);
    int events = (reads ? UV_READABLE : 0) | (passing->blocked ? UV_WRITABLE : 0);
    int rc;

    if (stream->error != 0)
        events = 0;
    if (events == passing->events)
        return 0;
    passing->events = events;
    if (events == 0)
        return uv_poll_stop(&passing->poll);
    rc = gv_handle_try(&stream->handle);
    return rc < 0 ? rc : uv_poll_start(&passing->poll, events, poll_cb);
}

/* The beginning and the end. */

static void free_cb(uv_handle_t *handle) {
    gv_passing *passing = handle->data;

    if (--passing->open == 0)
        free(passing);
}

void gv_passing_close(gv_stream *stream) {
    gv_passing *passing = stream->passing;

    while (passing->count > 0)
        close(take(passing));
    uv_close((uv_handle_t *) &passing->poll, free_cb);
    uv_close((uv_handle_t *) &passing->retry, free_cb);
    stream->passing = NULL;
}

void gv_passing_abandon(const gv_stream *stream) {
    while (stream->passing->count > 0)
        close(take(stream->passing));
}

static int check(const gv_stream *stream, int limit) {
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    if (stream->handle.type != GV_PIPE || limit < 1 || limit > 1 << 16)
        return UV_EINVAL;
    if (stream->state != GV_STREAM_OPEN)
        return UV_ENOTCONN;
    if (stream->passing != NULL || stream->reading || stream->write != NULL)
        return UV_EALREADY;
    if (getsockname(gv_handle_fd(&stream->handle), (struct sockaddr *) &name, &len) < 0)
        return uv_translate_sys_error(errno);
    return name.ss_family == AF_UNIX ? 0 : UV_EAFNOSUPPORT;
}

int gv_pipe_allow_passing(gv_loop *loop, int64_t id, int limit) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);
    gv_passing *passing;

    if (stream == NULL)
        return rc;
    rc = check(stream, limit);
    if (rc < 0)
        return rc;
    passing = calloc(1, sizeof(*passing) + sizeof(int) * (size_t) (limit + GV_PASS_MOST));
    if (passing == NULL)
        return UV_ENOMEM;
    rc = uv_poll_init(&loop->uv, &passing->poll, gv_handle_fd(&stream->handle));
    if (rc < 0) {
        free(passing);
        return rc;
    }
    uv_timer_init(&loop->uv, &passing->retry);
    passing->poll.data = passing->retry.data = passing;
    passing->open = 2;
    passing->limit = limit;
    passing->stream = stream;
    stream->passing = passing;
    return 0;
}

int64_t gv_pipe_pass(gv_loop *loop, int64_t id, const char *data, int64_t len, int fd) {
    int rc;
    gv_stream *stream = gv_stream_find_writable(loop, id, &rc);
    int copy;

    if (stream == NULL)
        return rc;
    if (stream->passing == NULL)
        return UV_ENOTSUP;
    if (data == NULL || len < 1)
        return UV_EINVAL;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0)
        return uv_translate_sys_error(errno);
    rc = gv_outqueue_pass(loop, &stream->out, data, (size_t) len, copy);
    if (rc < 0) {
        close(copy);
        return rc;
    }
    return gv_stream_queued(stream);
}

int gv_pipe_take_passed(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);
    gv_passing *passing;

    if (stream == NULL)
        return rc;
    passing = stream->passing;
    if (passing == NULL)
        return UV_ENOTSUP;
    if (passing->count == 0)
        return UV_EAGAIN;
    if (passing->count == passing->limit)
        gv_handle_mark(&stream->handle); /* it reads on */
    if (passing->count == 1)
        passing->told = false;
    return take(passing);
}

int gv_pipe_passed(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);

    if (stream == NULL)
        return rc;
    return stream->passing == NULL ? UV_ENOTSUP : (int) stream->passing->count;
}
