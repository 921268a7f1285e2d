/* The sending half of stream.h. */
#include "csrc/passing.h"
#include "csrc/tls_stream.h"

#include <stdlib.h>

size_t gv_stream_backlog(const gv_stream *stream) {
    return stream->out.size + (stream->tls == NULL ? 0 : gv_tls_stream_pending(stream));
}

void gv_stream_returned(gv_stream *stream, int64_t lent) {
    gv_handle *handle = &stream->handle;

    if (lent == 0)
        return;
    handle->source.written += lent;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_WRITTEN);
}

void gv_stream_consumed(gv_stream *stream, size_t len) {
    gv_handle *handle = &stream->handle;
    gv_ring *ring = &handle->loop->ring;

    gv_stream_returned(stream, gv_outqueue_consume(handle->loop, &stream->out, len));
    stream->sent += len;
    if (stream->above && gv_stream_backlog(stream) <= stream->low) {
        stream->above = false;
        gv_ring_report(ring, &handle->source, GV_DRAIN);
    }
}

static void fail(gv_stream *stream, int error) {
    if (error == UV_EPIPE || error == UV_ECONNRESET)
        gv_stream_read_rest(stream, error);
    gv_stream_break(stream, error);
}

static void write_cb(uv_write_t *req, int status) {
    gv_stream *stream = req->handle->data;
    size_t len = stream->write_size;

    free(req);
    stream->write = NULL;
    if (status == UV_ECANCELED) /* closing drops what is queued */
        return;
    if (status < 0) {
        fail(stream, status);
        return;
    }
    gv_stream_consumed(stream, len);
    gv_stream_send(stream);
    if (!stream->handle.shut)
        gv_stream_finish(stream);
}

void gv_stream_waits_to_write(gv_stream *stream) {
    gv_deadline *deadline = &stream->handle.deadline;

    if (deadline->write_timeout == 0)
        return;
    deadline->write_at = gv_stream_now(stream);
    deadline->write_seen = gv_stream_sent(stream);
    gv_stream_arm(stream);
}

/* Leave the front of the queue to libuv, which sends it as the peer takes it. */
static void send_later(gv_stream *stream) {
    uv_buf_t bufs[GV_IOVS];
    unsigned count = gv_outqueue_gather(&stream->out, bufs, GV_IOVS);
    unsigned i;
    int rc = UV_ENOMEM;

    stream->write = malloc(sizeof(*stream->write));
    if (stream->write != NULL) {
        stream->write_size = 0;
        for (i = 0; i < count; i++)
            stream->write_size += bufs[i].len;
        rc = uv_write(stream->write, &stream->handle.uv.stream, bufs, count, write_cb);
    }
    if (rc < 0) {
        free(stream->write);
        stream->write = NULL;
        gv_stream_break(stream, rc);
        return;
    }
    gv_stream_waits_to_write(stream);
}

/* Return whether there is something to send. */
static bool has_output(gv_stream *stream) {
    if (stream->out.first == NULL && stream->tls != NULL && stream->error == 0)
        gv_tls_stream_encrypt(stream);
    return stream->out.first != NULL;
}

void gv_stream_send(gv_stream *stream) {
    uv_buf_t bufs[GV_IOVS];
    unsigned count;
    int sent;

    if (stream->passing != NULL) {
        gv_passing_send(stream);
        return;
    }
    while (has_output(stream)) {
        count = gv_outqueue_gather(&stream->out, bufs, GV_IOVS);
        sent = uv_try_write(&stream->handle.uv.stream, bufs, count);
        if (sent < 0 && sent != UV_EAGAIN) {
            fail(stream, sent);
            return;
        }
        if (sent > 0)
            gv_stream_consumed(stream, (size_t) sent);
        /* With fewer pieces than one call takes, what is left did not fit. */
        if (stream->out.first != NULL && (sent < 0 || count < GV_IOVS)) {
            send_later(stream);
            return;
        }
    }
}

static void shutdown_cb(uv_shutdown_t *req, int status) {
    gv_stream *stream = req->handle->data;

    free(req);
    /* ENOTCONN: the peer is gone, which reading says better. */
    if (status < 0 && status != UV_ECANCELED && status != UV_ENOTCONN)
        gv_stream_break(stream, status);
}

static int shut_down(gv_stream *stream) {
    uv_shutdown_t *req = malloc(sizeof(*req));
    int rc = req == NULL ? UV_ENOMEM : gv_handle_try(&stream->handle);

    if (rc == 0)
        rc = uv_shutdown(req, &stream->handle.uv.stream, shutdown_cb);
    if (rc < 0)
        free(req);
    return rc;
}

static void end(gv_stream *stream) {
    int rc = stream->passing != NULL ? gv_passing_end(stream) : shut_down(stream);

    stream->ended = true;
    if (rc < 0)
        gv_stream_break(stream, rc);
}

/* What was to happen once everything has been sent. */
void gv_stream_finish(gv_stream *stream) {
    if (gv_stream_backlog(stream) > 0 || stream->error != 0)
        return;
    if (stream->closing && (stream->tls == NULL || gv_tls_stream_may_go(stream)))
        gv_handle_shut(&stream->handle);
    else if (stream->closing)
        return;
    else if (stream->ending && !stream->ended)
        end(stream);
}

gv_stream *gv_stream_find_writable(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream == NULL)
        return NULL;
    if (stream->error != 0)
        *rc = stream->error;
    else if (stream->state != GV_STREAM_OPEN)
        *rc = UV_ENOTCONN;
    else if (stream->ending || stream->closing)
        *rc = UV_ESHUTDOWN;
    return *rc < 0 ? NULL : stream;
}

/* Send what goes at once. Returns how many bytes that were, or an error. */
static int64_t try_now(gv_stream *stream, const char *data, size_t len) {
    uv_buf_t buf;
    int sent;

    buf.base = (char *) (uintptr_t) data; /* only read */
    buf.len = len;
    sent = uv_try_write(&stream->handle.uv.stream, &buf, 1);
    if (sent == UV_EAGAIN)
        return 0;
    if (sent < 0)
        fail(stream, sent);
    else
        stream->sent += (size_t) sent;
    return sent;
}

int64_t gv_stream_queued(gv_stream *stream) {
    size_t backlog = gv_stream_backlog(stream);

    if (backlog > stream->high)
        stream->above = true;
    if (stream->write == NULL)
        gv_handle_mark(&stream->handle);
    return (int64_t) backlog;
}

/* Return what writing returns that cannot be: the code, unless something has to be read
 * before that is told; then the queue is said to be full, so that the writer waits. */
static int64_t refuse(gv_loop *loop, int64_t id, int code) {
    int rc;
    const gv_stream *stream = gv_stream_find(loop, id, &rc);

    return stream != NULL && stream->untold && !stream->closing ? (int64_t) stream->high + 1 : code;
}

static int64_t put(gv_loop *loop, int64_t id, const char *data, int64_t len, bool lend) {
    int rc;
    gv_stream *stream = gv_stream_find_writable(loop, id, &rc);
    size_t size = (size_t) len;
    int64_t sent;

    if (stream == NULL)
        return refuse(loop, id, rc);
    if (len < 0 || (data == NULL && len > 0))
        return UV_EINVAL;
    if (stream->tls != NULL) {
        sent = gv_tls_stream_put(stream, data, size, lend);
        return stream->error == 0 ? sent : refuse(loop, id, stream->error);
    }
    if (stream->out.first == NULL && size >= GV_TRY_SIZE && stream->passing == NULL) {
        sent = try_now(stream, data, size);
        if (sent < 0)
            return refuse(loop, id, (int) sent);
        data += sent;
        size -= (size_t) sent;
    }
    if (size == 0)
        return (int64_t) stream->out.size;
    rc = lend ? gv_outqueue_lend(&stream->out, data, size)
              : gv_outqueue_copy(loop, &stream->out, data, size);
    if (rc < 0) {
        /* A part may have left: to go on would be to lie about the order. */
        gv_stream_break(stream, rc);
        return rc;
    }
    return gv_stream_queued(stream);
}

int64_t gv_stream_write(gv_loop *loop, int64_t id, const char *data, int64_t len) {
    return put(loop, id, data, len, false);
}

int64_t gv_stream_lend(gv_loop *loop, int64_t id, const char *data, int64_t len) {
    return put(loop, id, data, len, true);
}

int gv_stream_write_eof(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = gv_stream_find_writable(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (stream->tls != NULL)
        return UV_EINVAL; /* TLS has no half-closed connections that could be told from broken ones
                           */
    stream->ending = true;
    gv_handle_mark(&stream->handle);
    return 0;
}

int64_t gv_stream_pending(gv_loop *loop, int64_t id) {
    int rc;
    const gv_stream *stream = gv_stream_find(loop, id, &rc);

    return stream == NULL ? rc : (int64_t) gv_stream_backlog(stream);
}

int gv_stream_watermarks(gv_loop *loop, int64_t id, int64_t high, int64_t low) {
    int rc;
    gv_stream *stream = gv_stream_find(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (low < 0 || low > high)
        return UV_EINVAL;
    stream->high = (size_t) high;
    stream->low = (size_t) low;
    return 0;
}
