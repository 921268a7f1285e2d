/* The reading half of stream.h. */
#include "csrc/passing.h"
#include "csrc/tls_stream.h"

#include <sys/socket.h>
#include <unistd.h>

/* Nothing for you now; libuv comes again, since epoll is level-triggered. */
static void refuse(gv_stream *stream, uv_buf_t *buf) {
    buf->base = NULL;
    buf->len = 0;
    /* The peer was not idle: we are the ones who have no room. */
    stream->handle.deadline.read_at = uv_now(&stream->handle.loop->uv);
}

static bool may_read(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;
    const gv_ring *ring = &loop->ring;

    if (stream->turn != loop->turn) {
        stream->turn = loop->turn;
        stream->left = loop->share;
        loop->ready++;
    }
    if (stream->left == 0 || gv_stream_has_had_its_turn(stream))
        return false;
    if (gv_ring_room(ring) && ring->arena_size - ring->arena_used >= GV_READ_MIN)
        return true;
    gv_stream_refused(stream);
    return false;
}

bool gv_stream_place(gv_stream *stream, uv_buf_t *buf) {
    gv_ring *ring = &stream->handle.loop->ring;
    size_t room = ring->arena_size - ring->arena_used;

    if (!may_read(stream)) {
        refuse(stream, buf);
        return false;
    }
    if (stream->into != NULL) {
        buf->base = stream->into;
        buf->len = stream->into_size;
    } else {
        buf->base = ring->arena + ring->arena_used;
        buf->len = stream->left < room ? stream->left : room;
    }
    return true;
}

bool gv_stream_room(gv_stream *stream, uv_buf_t *buf) {
    return gv_stream_place(stream, buf) && (stream->tls == NULL || gv_tls_stream_room(stream, buf));
}

static void alloc_cb(uv_handle_t *uv, size_t suggested, uv_buf_t *buf) {
    (void) suggested;
    gv_stream_room(uv->data, buf);
}

void gv_stream_placed(gv_stream *stream, size_t len) {
    gv_loop *loop = stream->handle.loop;
    gv_ring *ring = &loop->ring;

    stream->epoch = loop->epoch;
    stream->handle.deadline.read_at = uv_now(&loop->uv);
    if (stream->into != NULL) {
        stream->into = NULL;
        stream->into_filled = true;
        stream->left = 0; /* what is behind it goes to the next buffer, uncopied */
        gv_ring_put(ring, stream->handle.source.id, GV_READ_INTO, (int64_t) len, 0);
        return;
    }
    gv_ring_put_data(ring, stream->handle.source.id, len); /* libuv has just written there */
    stream->left -= len;
}

/* When the connection was reset behind what it has just read, libuv speaks of EOF
 * without a look. With EPIPE the peer's FIN was there: it has said everything. */
static int hidden_error(gv_stream *stream) {
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(gv_handle_fd(&stream->handle), SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return 0; /* a pipe */
    return error == EPIPE ? 0 : uv_translate_sys_error(error);
}

/* Linux's word for it, once nobody has the terminal open whose user we are. */
static bool has_hung_up(const gv_stream *stream, ssize_t code) {
    return code == UV_EIO && stream->handle.type == GV_TTY &&
           gv_fd_is_master(gv_handle_fd(&stream->handle));
}

void gv_stream_ended(gv_stream *stream) {
    stream->eof = true;
    stream->want_read = false;
    gv_stream_apply_reading(stream);
    gv_ring_report(&stream->handle.loop->ring, &stream->handle.source, GV_EOF);
}

void gv_stream_got(gv_stream *stream, ssize_t nread) {
    if (nread > 0) {
        if (stream->tls != NULL)
            gv_tls_stream_got(stream, (size_t) nread);
        else
            gv_stream_placed(stream, (size_t) nread);
        return;
    }
    if (nread == UV_EOF || has_hung_up(stream, nread))
        nread = hidden_error(stream);
    else if (nread == 0 || nread == UV_ENOBUFS)
        return;
    if (nread == 0 && stream->tls != NULL) {
        gv_tls_stream_eof(stream);
    } else if (nread == 0) {
        gv_stream_ended(stream);
    } else {
        gv_stream_break(stream, (int) nread);
    }
}

static void read_cb(uv_stream_t *uv, ssize_t nread, const uv_buf_t *buf) {
    (void) buf;
    gv_stream_got(uv->data, nread);
}

void gv_stream_read_rest(gv_stream *stream, int error) {
    int fd = gv_handle_fd(&stream->handle);
    ssize_t nread = -1;
    uv_buf_t buf;

    if (stream->untold || stream->passing != NULL || stream->into != NULL)
        return;
    while (stream->reading && gv_stream_room(stream, &buf) &&
           (nread = read(fd, buf.base, buf.len)) > 0) {
        stream->untold = true;
        gv_stream_got(stream, nread);
    }
    /* With EPIPE, its FIN was there before; without, there may have been more. */
    if (stream->reading && nread == 0 && error == UV_EPIPE)
        gv_stream_got(stream, UV_EOF);
}

static int start(gv_stream *stream) {
    int rc;

    if (stream->passing != NULL)
        return gv_passing_watch(stream);
    rc = gv_handle_try(&stream->handle);
    return rc < 0 ? rc : uv_read_start(&stream->handle.uv.stream, alloc_cb, read_cb);
}

static void stop(gv_stream *stream) {
    if (stream->passing != NULL)
        gv_passing_watch(stream);
    else
        uv_read_stop(&stream->handle.uv.stream);
}

void gv_stream_apply_reading(gv_stream *stream) {
    gv_deadline *deadline = &stream->handle.deadline;
    int rc;

    if (stream->want_read == stream->reading)
        return;
    stream->reading = stream->want_read;
    if (!stream->reading) {
        stop(stream);
        return;
    }
    rc = start(stream);
    if (rc < 0) {
        stream->reading = stream->want_read = false;
        gv_stream_break(stream, rc);
    } else if (deadline->read_timeout != 0) {
        deadline->read_at = gv_stream_now(stream);
        gv_stream_arm(stream);
    }
}

static gv_stream *find_readable(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream == NULL)
        return NULL;
    if (stream->state != GV_STREAM_OPEN)
        *rc = UV_ENOTCONN;
    else if (stream->closing)
        *rc = UV_ESHUTDOWN;
    return *rc < 0 ? NULL : stream;
}

int gv_stream_read_start(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_readable(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (stream->eof || stream->error != 0)
        return 0; /* it has been said */
    stream->want_read = true;
    gv_handle_mark(&stream->handle);
    return 0;
}

int gv_stream_read_stop(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_readable(loop, id, &rc);

    if (stream == NULL)
        return rc;
    stream->want_read = false;
    gv_handle_mark(&stream->handle);
    return 0;
}

int gv_stream_read_into(gv_loop *loop, int64_t id, char *data, int64_t len) {
    int rc;
    gv_stream *stream = find_readable(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (data != NULL && len < 1)
        return UV_EINVAL;
    if (data == NULL && stream->into_filled)
        return UV_EALREADY;
    stream->into_filled = false;
    stream->into = data;
    stream->into_size = (size_t) len;
    return 0;
}
