#include "csrc/tls_warm.h"

#include "csrc/tls_stream.h"

void gv_tls_warm_up(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;

    if (loop->warm >= GV_TLS_WARM)
        return;
    loop->warm++;
    stream->tls->warm = true;
    gv_tls_keep_memory(stream->tls->tls, true);
    gv_stream_arm(stream);
}

uint64_t gv_tls_warm_until(const gv_stream *stream) {
    if (stream->tls == NULL || !stream->tls->warm)
        return UINT64_MAX;
    return stream->handle.deadline.read_at + GV_TLS_WARM_MS;
}

void gv_tls_cool_down(gv_stream *stream) {
    if (!stream->tls->warm)
        return;
    stream->handle.loop->warm--;
    stream->tls->warm = false;
    gv_tls_keep_memory(stream->tls->tls, false);
}
