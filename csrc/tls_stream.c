#include "csrc/tls_stream.h"

#include "csrc/tls_warm.h"

#include <stdlib.h>
#include <string.h>

static void report(gv_stream *stream, gv_tls_event event) {
    gv_ring_report_tls(&stream->handle.loop->ring, &stream->handle.source, (int) event);
}

static void drop_plain(gv_stream *stream) {
    gv_stream_returned(stream, gv_outqueue_clear(stream->handle.loop, &stream->tls->plain));
}

static void send_if_idle(gv_stream *stream) {
    if (stream->write != NULL || stream->error != 0 || stream->untold || stream->handle.shut)
        return;
    gv_stream_send(stream);
    if (!stream->handle.shut)
        gv_stream_finish(stream);
}

/* The alert, which says to the peer why, is in the out-queue. */
static void fail(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    if (layer->failed)
        return;
    layer->failed = true;
    drop_plain(stream);
    stream->want_read = false;
    gv_stream_apply_reading(stream);
    if (!stream->closing)
        report(stream, GV_TLS_FAILED);
    send_if_idle(stream);
}

static void shake_hands(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    switch (gv_tls_handshake(layer->tls)) {
    case GV_TLS_OK:
        layer->secured = true;
        report(stream, GV_TLS_SECURED);
        break;
    case GV_TLS_HELLO:
        layer->asked = true;
        report(stream, GV_TLS_ASKED);
        break;
    case GV_TLS_WANT_READ:
        break;
    default:
        fail(stream);
    }
}

/* Sending. */

size_t gv_tls_stream_pending(const gv_stream *stream) {
    return stream->tls->plain.size;
}

static int sink(void *arg, const char *data, size_t len) {
    gv_stream *stream = arg;

    return gv_outqueue_copy(stream->handle.loop, &stream->out, data, len);
}

/* What is small goes into one record with what follows it. */
static size_t next_piece(gv_stream *stream, const char **data) {
    uv_buf_t bufs[GV_IOVS];
    unsigned count = gv_outqueue_gather(&stream->tls->plain, bufs, GV_IOVS);
    char *scratch = stream->handle.loop->records;
    size_t len = 0;
    unsigned i;

    *data = bufs[0].base;
    if (count == 1 || bufs[0].len >= GV_TLS_RECORD)
        return bufs[0].len;
    for (i = 0; i < count && len < GV_TLS_RECORD; i++) {
        size_t n = bufs[i].len < GV_TLS_RECORD - len ? bufs[i].len : GV_TLS_RECORD - len;

        memcpy(scratch + len, bufs[i].base, n);
        len += n;
    }
    *data = scratch;
    return len;
}

static void say_goodbye(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;
    int said = gv_tls_shutdown(layer->tls);

    if (said == GV_TLS_WANT_READ)
        return;
    layer->said = true;
    if (said < 0)
        fail(stream);
    else if (stream->eof && !stream->closing)
        report(stream, GV_TLS_ENDED);
}

void gv_tls_stream_encrypt(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;
    const char *data;
    int64_t n;

    layer->tls->answered = 0; /* all has left */
    if (!layer->secured || layer->failed)
        return;
    while (layer->plain.first != NULL && stream->out.size < GV_TLS_AHEAD) {
        size_t len = next_piece(stream, &data);

        n = gv_tls_write(layer->tls, data, (int64_t) len);
        if (n == GV_TLS_WANT_READ)
            return; /* a message of the peer's has come in part, which goes first */
        if (n < 0) {
            fail(stream);
            return;
        }
        gv_stream_returned(stream,
                           gv_outqueue_consume(stream->handle.loop, &layer->plain, (size_t) n));
    }
    if (layer->shutdown && !layer->said && layer->plain.first == NULL)
        say_goodbye(stream);
}

/* Encrypt and send what goes at once. Returns how many bytes were encrypted. */
static size_t try_now(gv_stream *stream, const char *data, size_t len) {
    size_t done = 0;
    int64_t n = 0;

    while (n >= 0 && done < len && stream->out.first == NULL && stream->error == 0) {
        while (n >= 0 && done < len && stream->out.size < GV_TLS_AHEAD) {
            n = gv_tls_write(stream->tls->tls, data + done, (int64_t) (len - done));
            if (n > 0)
                done += (size_t) n;
        }
        gv_stream_send(stream);
    }
    if (n == GV_TLS_ERROR)
        fail(stream);
    return done;
}

int64_t gv_tls_stream_put(gv_stream *stream, const char *data, size_t len, bool lend) {
    gv_tls_layer *layer = stream->tls;
    size_t done = 0;
    int rc = 0;

    if (layer->failed)
        return GV_TLS_ERROR;
    if (layer->shutdown)
        return UV_ESHUTDOWN;
    if (len >= GV_TRY_SIZE && layer->secured && gv_stream_backlog(stream) == 0)
        done = try_now(stream, data, len);
    if (layer->failed || stream->error != 0)
        return layer->failed ? GV_TLS_ERROR : stream->error;
    if (done < len)
        rc = lend ? gv_outqueue_lend(&layer->plain, data + done, len - done)
                  : gv_outqueue_copy(stream->handle.loop, &layer->plain, data + done, len - done);
    if (rc < 0) {
        gv_stream_break(stream, rc); /* a part may have left */
        return rc;
    }
    if (gv_stream_backlog(stream) == 0)
        return 0;
    if (lend && done == len)
        gv_stream_returned(stream, 1); /* what waits is a copy */
    return gv_stream_queued(stream);
}

/* Reading. */

bool gv_tls_stream_room(gv_stream *stream, uv_buf_t *buf) {
    gv_tls_layer *layer = stream->tls;
    size_t room = buf->len < GV_TLS_RECORD ? GV_TLS_RECORD : buf->len;

    if (layer->asked || (layer->secured && gv_tls_has_input(layer->tls))) {
        gv_handle_mark(&stream->handle);
        buf->base = NULL;
        buf->len = 0;
        return false;
    }
    buf->base = stream->handle.loop->records;
    buf->len = room < GV_TLS_SCRATCH ? room : GV_TLS_SCRATCH;
    return true;
}

/* What comes while we close is for nobody. */
static int64_t discard(gv_tls *tls) {
    char data[4096];
    int64_t n;

    do
        n = gv_tls_read(tls, data, sizeof(data));
    while (n > 0);
    return n;
}

/* Decrypt as much as there is room for. Returns what the engine has said last, which is 0
 * if it was not asked to the end. */
static int64_t decrypt(gv_stream *stream) {
    gv_tls *tls = stream->tls->tls;
    uv_buf_t buf;
    size_t len = 0;
    int64_t n;

    if (!gv_stream_place(stream, &buf)) {
        gv_handle_mark(&stream->handle);
        return 0;
    }
    do {
        n = gv_tls_read(tls, buf.base + len, (int64_t) (buf.len - len));
        if (n > 0)
            len += (size_t) n;
    } while (n > 0 && len < buf.len && gv_tls_has_input(tls));
    if (len > 0)
        gv_stream_placed(stream, len);
    if (n > 0 && gv_tls_has_input(tls))
        gv_handle_mark(&stream->handle); /* there is more, and epoll does not know it */
    return n > 0 ? 0 : n;
}

static void ended(gv_stream *stream) {
    if (stream->eof)
        return;
    if (!stream->closing) {
        gv_stream_ended(stream);
        if (stream->tls->said)
            report(stream, GV_TLS_ENDED);
        return;
    }
    stream->eof = true;
    stream->want_read = false;
    gv_stream_apply_reading(stream);
}

static void deliver(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;
    int64_t said = stream->closing ? discard(layer->tls) : decrypt(stream);

    if (said == GV_TLS_EOF)
        ended(stream);
    else if (said == GV_TLS_ERROR)
        fail(stream);
    if (!layer->told && layer->tls->fresh) {
        layer->told = true;
        report(stream, GV_TLS_TICKETS);
    }
}

void gv_tls_stream_got(gv_stream *stream, size_t len) {
    gv_tls_layer *layer = stream->tls;

    gv_tls_lend(layer->tls, stream->handle.loop->records, len);
    if (!layer->secured)
        shake_hands(stream);
    if (layer->secured && !layer->failed) {
        deliver(stream);
        gv_tls_warm_up(stream);
    }
    if (gv_tls_keep(layer->tls) < 0)
        fail(stream);
    send_if_idle(stream);
}

void gv_tls_stream_eof(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    stream->want_read = false;
    gv_stream_apply_reading(stream);
    if (gv_tls_eof(layer->tls) < 0)
        fail(stream);
    stream->eof = true;
    send_if_idle(stream);
}

void gv_tls_stream_flush(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    if (layer->failed || layer->asked)
        return;
    if (!layer->secured)
        shake_hands(stream);
    if (layer->secured && stream->want_read && gv_tls_has_input(layer->tls))
        deliver(stream);
}

/* The end. */

bool gv_tls_stream_close(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    if (!layer->secured)
        drop_plain(stream);
    layer->shutdown = true;
    return layer->secured && !layer->failed;
}

bool gv_tls_stream_may_go(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    if (!layer->secured || layer->failed || stream->eof || layer->linger == 0)
        return true;
    if (layer->lingering)
        return false;
    layer->lingering = true; /* also where a message of the peer's in part has us say nothing */
    stream->handle.deadline.total_at = gv_stream_now(stream) + layer->linger;
    gv_stream_arm(stream);
    stream->want_read = true;
    gv_handle_mark(&stream->handle);
    return false;
}

bool gv_tls_stream_lingers(const gv_stream *stream) {
    return stream->tls->lingering;
}

void gv_tls_stream_drop(gv_stream *stream) {
    drop_plain(stream);
    gv_tls_cool_down(stream);
    free(stream->tls);
    stream->tls = NULL;
}

/* For Python. */

static gv_stream *find(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = gv_stream_find(loop, id, rc);

    if (stream == NULL)
        return NULL;
    if (stream->error != 0)
        *rc = stream->error;
    else if (stream->state != GV_STREAM_OPEN)
        *rc = UV_ENOTCONN;
    else if (stream->closing)
        *rc = UV_ESHUTDOWN;
    return *rc < 0 ? NULL : stream;
}

static gv_stream *find_secure(gv_loop *loop, int64_t id, int *rc) {
    gv_stream *stream = find(loop, id, rc);

    if (stream != NULL && stream->tls == NULL)
        *rc = UV_EINVAL;
    return *rc < 0 ? NULL : stream;
}

int gv_stream_tls_start(gv_loop *loop, int64_t id, gv_tls *tls, int64_t linger_ms) {
    int rc;
    gv_stream *stream = find(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (stream->eof)
        return UV_EOF;
    if (stream->tls != NULL || stream->passing != NULL || stream->ending || tls == NULL ||
        linger_ms < 0 || linger_ms >= UINT32_MAX)
        return UV_EINVAL;
    if (loop->records == NULL)
        loop->records = malloc(GV_TLS_SCRATCH);
    stream->tls = calloc(1, sizeof(*stream->tls));
    if (loop->records == NULL || stream->tls == NULL) {
        free(stream->tls);
        stream->tls = NULL;
        return UV_ENOMEM;
    }
    stream->tls->tls = tls;
    stream->tls->linger = (uint32_t) linger_ms;
    tls->sink = sink;
    tls->sink_arg = stream;
    stream->want_read = true;
    gv_handle_mark(&stream->handle);
    return 0;
}

int gv_stream_tls_continue(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_secure(loop, id, &rc);

    if (stream == NULL)
        return rc;
    stream->tls->asked = false;
    gv_handle_mark(&stream->handle);
    return 0;
}

int gv_stream_tls_shutdown(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_secure(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (!stream->tls->secured || stream->tls->failed)
        return UV_EINVAL;
    stream->tls->shutdown = true;
    gv_handle_mark(&stream->handle);
    return 0;
}

int gv_stream_tls_stop(gv_loop *loop, int64_t id) {
    int rc;
    gv_stream *stream = find_secure(loop, id, &rc);

    if (stream == NULL)
        return rc;
    if (!stream->tls->failed && (!stream->eof || !stream->tls->said))
        return UV_EBUSY;
    stream->tls->tls->sink = NULL;
    gv_tls_stream_drop(stream);
    stream->eof = false;
    return 0;
}
