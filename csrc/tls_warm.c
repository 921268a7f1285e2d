#include "csrc/tls_warm.h"

#include "csrc/tls_stream.h"

void gv_tls_warm_up(gv_stream *stream) {
    gv_loop *loop = stream->handle.loop;
    gv_tls_layer *layer = stream->tls;

    if (layer->warm)
        return;
    if (layer->reads < GV_TLS_WARM_READS) {
        layer->reads++;
        return;
    }
    if (loop->warm >= GV_TLS_WARM)
        return;
    loop->warm++;
    layer->warm = true;
    gv_tls_keep_memory(layer->tls, true);
    gv_stream_arm(stream);
}

uint64_t gv_tls_warm_until(const gv_stream *stream) {
    if (stream->tls == NULL || !stream->tls->warm)
        return UINT64_MAX;
    return stream->handle.deadline.read_at + GV_TLS_WARM_MS;
}

void gv_tls_cool_down(gv_stream *stream) {
    gv_tls_layer *layer = stream->tls;

    if (!layer->warm)
        return;
    stream->handle.loop->warm--;
    layer->warm = false;
    layer->reads = 0;
    gv_tls_keep_memory(layer->tls, false);
}
