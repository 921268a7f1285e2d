#include "csrc/passing.h"
#include "csrc/tls_stream.h"
#include "csrc/tls_warm.h"
#include "csrc/tty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

static void flush(gv_handle *handle) {
    gv_stream *stream = (gv_stream *) handle;

    gv_stream_apply_reading(stream);
    if (stream->tls != NULL)
        gv_tls_stream_flush(stream);
    if (stream->write == NULL && stream->error == 0)
        gv_stream_send(stream);
    if (!handle->shut)
        gv_stream_finish(stream);
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Return when to look again, or 0 if the deadline is due. */
static uint64_t check_write(gv_stream *stream, uint64_t now) {
    gv_deadline *deadline = &stream->handle.deadline;
    uint64_t at;

    if (deadline->write_timeout == 0 || gv_stream_backlog(stream) == 0)
        return UINT64_MAX;
    if (deadline->write_seen != gv_stream_sent(stream)) {
        deadline->write_seen = gv_stream_sent(stream);
        deadline->write_at = now;
    }
    at = deadline->write_at + deadline->write_timeout;
    if (now >= at)
        return 0;
    /* Progress is noticed here only, so look often enough to know when it was. */
    return sooner(at, now + deadline->write_timeout / 8 + 1);
}

static uint64_t check_read(const gv_stream *stream, uint64_t now) {
    const gv_deadline *deadline = &stream->handle.deadline;
    uint64_t at = deadline->read_at + deadline->read_timeout;

    if (deadline->read_timeout == 0 || !stream->reading)
        return UINT64_MAX;
    return now >= at ? 0 : at;
}

static uint64_t check_total(const gv_stream *stream, uint64_t now) {
    uint64_t at = stream->handle.deadline.total_at;

    if (at == 0)
        return UINT64_MAX;
    return now >= at ? 0 : at;
}

static void report_timeout(gv_stream *stream, gv_deadline_kind which) {
    gv_ring_report_timeout(&stream->handle.loop->ring, &stream->handle.source, which);
}

static void expired(gv_handle *handle, uint64_t now) {
    gv_stream *stream = (gv_stream *) handle;
    gv_deadline *deadline = &handle->deadline;

    if (check_total(stream, now) == 0) {
        deadline->total_at = 0;
        if (stream->state == GV_STREAM_LISTENING)
            gv_stream_resume_accepting(stream);
        else if (stream->tls != NULL && gv_tls_stream_lingers(stream))
            gv_handle_shut(handle);
        else
            report_timeout(stream, GV_DEADLINE_TOTAL);
    }
    if (!handle->shut && check_read(stream, now) == 0) {
        deadline->read_timeout = 0;
        report_timeout(stream, GV_DEADLINE_READ);
    }
    if (!handle->shut && check_write(stream, now) == 0) {
        deadline->write_timeout = 0;
        report_timeout(stream, GV_DEADLINE_WRITE);
    }
    if (!handle->shut && now >= gv_tls_warm_until(stream))
        gv_tls_cool_down(stream);
    if (!handle->shut)
        gv_stream_arm(stream);
}

void gv_stream_arm(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;
    uint64_t now = uv_now(&loop->uv);
    uint64_t at = check_total(stream, now);

    at = sooner(at, check_read(stream, now));
    at = sooner(at, check_write(stream, now));
    at = sooner(at, gv_tls_warm_until(stream));
    gv_wheel_put(&loop->wheel, &stream->handle.deadline, at);
}

uint64_t gv_stream_sent(const gv_stream *stream) {
    if (stream->write == NULL)
        return stream->sent;
    return stream->sent + stream->write_size -
           uv_stream_get_write_queue_size(&stream->handle.uv.stream);
}

uint64_t gv_stream_now(gv_stream *stream) {
    uv_update_time(&stream->handle.loop->uv);
    return uv_now(&stream->handle.loop->uv);
}

static void free_listener(uv_handle_t *listener) {
    free(listener);
}

static void closing(gv_handle *handle) {
    gv_stream *stream = (gv_stream *) handle;

    stream->into = NULL;
    stream->want_read = stream->reading = false;
    if (stream->listener != NULL)
        uv_close((uv_handle_t *) stream->listener, free_listener);
    stream->listener = NULL;
    if (stream->passing != NULL)
        gv_passing_close(stream);
    if (handle->type == GV_TTY)
        gv_tty_leave((gv_tty *) stream);
}

static void closed(gv_handle *handle) {
    gv_stream *stream = (gv_stream *) handle;

    gv_stream_returned(stream, gv_outqueue_clear(handle->loop, &stream->out));
    if (stream->tls != NULL)
        gv_tls_stream_drop(stream);
}

static void abandoned(const gv_handle *handle) {
    const gv_stream *stream = (const gv_stream *) handle;

    gv_outqueue_abandon(&stream->out);
    if (stream->passing != NULL)
        gv_passing_abandon(stream);
}

static const gv_handle_ops OPS = {flush, expired, closing, NULL, closed, abandoned};

gv_stream *gv_stream_new(gv_loop *loop, gv_type type) {
    gv_stream *stream = calloc(1, type == GV_TTY ? sizeof(gv_tty) : sizeof(gv_stream));

    if (stream == NULL)
        return NULL;
    stream->handle.type = type;
    stream->high = stream->low = SIZE_MAX;
    if (gv_handle_add(loop, &stream->handle, &OPS) < 0) {
        free(stream);
        return NULL;
    }
    return stream;
}

gv_stream *gv_stream_find(gv_loop *loop, int64_t id, int *rc) {
    gv_handle *handle;

    *rc = gv_loop_check(loop);
    if (*rc < 0)
        return NULL;
    handle = gv_handle_find(loop, id);
    if (handle == NULL || handle->shut) {
        *rc = UV_EBADF;
        return NULL;
    }
    if (handle->type >= GV_POLL) {
        *rc = UV_EINVAL;
        return NULL;
    }
    return (gv_stream *) handle;
}

bool gv_stream_has_had_its_turn(const gv_stream *stream) {
    const gv_loop *loop = stream->handle.loop;

    return loop->starving && stream->epoch == loop->epoch;
}

void gv_stream_refused(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;

    if (stream->epoch != loop->epoch)
        loop->refused = true;
}

void gv_stream_opened(gv_stream *stream) {
    stream->state = GV_STREAM_OPEN;
}

void gv_stream_break(gv_stream *stream, int error) {
    gv_handle *handle = &stream->handle;

    if (stream->error != 0 || handle->shut)
        return;
    stream->error = error;
    stream->want_read = false;
    gv_stream_apply_reading(stream);
    if (stream->closing) {
        gv_handle_shut(handle);
        return;
    }
    handle->source.error = error;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_ERROR);
}

int gv_stream_deadline(gv_loop *loop, int64_t id, int which, int64_t timeout_ms) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);
    gv_deadline *deadline;
    uint32_t timeout;
    uint64_t now;

    if (stream == NULL)
        return rc;
    if (stream->state == GV_STREAM_LISTENING || timeout_ms < -1 || timeout_ms >= UINT32_MAX)
        return UV_EINVAL;
    deadline = &stream->handle.deadline;
    /* 0 is off in there, and at once out here. */
    timeout = timeout_ms < 0 ? 0 : timeout_ms == 0 ? 1 : (uint32_t) timeout_ms;
    now = gv_stream_now(stream);
    switch (which) {
    case GV_DEADLINE_READ:
        deadline->read_timeout = timeout;
        deadline->read_at = now;
        break;
    case GV_DEADLINE_WRITE:
        deadline->write_timeout = timeout;
        deadline->write_at = now;
        deadline->write_seen = gv_stream_sent(stream);
        break;
    case GV_DEADLINE_TOTAL:
        deadline->total_at = timeout == 0 ? 0 : now + timeout;
        break;
    default:
        return UV_EINVAL;
    }
    gv_stream_arm(stream);
    return 0;
}

int64_t gv_stream_close(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);
    bool more;

    if (stream == NULL)
        return rc;
    if (stream->closing)
        return UV_EALREADY;
    stream->into = NULL;
    stream->want_read = false;
    more = stream->tls != NULL && gv_tls_stream_close(stream);
    if (stream->error != 0 || (!more && gv_stream_backlog(stream) == 0)) {
        gv_handle_shut(&stream->handle);
        return 0;
    }
    stream->closing = true;
    gv_handle_mark(&stream->handle);
    return (int64_t) gv_stream_backlog(stream) + more;
}

int gv_stream_abort(gv_loop *loop, int64_t id) {
    /* uv_tcp_close_reset() refuses while a uv_shutdown() is under way. */
    struct linger reset = {1, 0};
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (stream->handle.type == GV_TCP && stream->state == GV_STREAM_OPEN)
        setsockopt(gv_handle_fd(&stream->handle), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    gv_handle_shut(&stream->handle);
    return 0;
}

static int name_of_socket(const gv_stream *stream, int peer, gv_address *out) {
    struct sockaddr_storage storage;
    struct sockaddr *addr = (struct sockaddr *) &storage;
    socklen_t len = sizeof(storage);
    int fd = gv_handle_fd(&stream->handle);
    int rc;

    if (fd < 0)
        return fd;
    rc = peer ? getpeername(fd, addr, &len) : getsockname(fd, addr, &len);
    return rc < 0 ? uv_translate_sys_error(errno) : gv_address_format(out, addr, len);
}

int gv_stream_name(gv_loop *loop, int64_t id, int peer, gv_address *out) {
    int rc = gv_loop_check(loop);
    const gv_handle *handle;
    const gv_stream *stream;

    if (rc < 0)
        return rc;
    handle = gv_handle_find(loop, id);
    if (handle == NULL)
        return UV_EBADF;
    if (handle->type >= GV_POLL || out == NULL)
        return UV_EINVAL;
    stream = (const gv_stream *) handle;
    if (peer && stream->peer.any.sa_family != 0)
        return gv_address_format(out, &stream->peer.any, gv_address_size(&stream->peer));
    return handle->shut ? UV_EBADF : name_of_socket(stream, peer, out);
}

int gv_stream_take(gv_stream *stream, int fd) {
    gv_handle *handle = &stream->handle;
    int flags = fcntl(fd, F_GETFL);
    int rc;

    if (gv_fds_owned(&handle->loop->fds, fd))
        return UV_EEXIST;
    rc = handle->type == GV_TCP ? uv_tcp_open(&handle->uv.tcp, fd)
                                : uv_pipe_open(&handle->uv.pipe, fd);
    if (rc < 0)
        return rc;
    handle->foreign = true;
    handle->was_blocking = flags >= 0 && (flags & O_NONBLOCK) == 0;
    gv_handle_claim(handle);
    return 0;
}
