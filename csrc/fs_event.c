#include "csrc/fs_event.h"

#include <stdlib.h>
#include <string.h>

static void ignore(gv_handle *handle) {
    (void) handle;
}

static void never(gv_handle *handle, uint64_t now) {
    (void) handle;
    (void) now;
}

static const gv_handle_ops OPS = {ignore, never, ignore, NULL, ignore, NULL};

static void refused(gv_handle *handle, int error) {
    handle->source.status = error;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_REFUSED);
}

static void event_cb(uv_fs_event_t *event, const char *name, int events, int status) {
    gv_handle *handle = event->data;
    gv_ring *ring = &handle->loop->ring;
    size_t len = name == NULL ? 0 : strlen(name);
    char *place = ring->arena + ring->arena_used;

    if (status < 0) {
        refused(handle, status);
        return;
    }
    if (!gv_ring_room(ring) || ring->arena_size - ring->arena_used < len + 1 + GV_ARENA_ALIGN) {
        refused(handle, UV_ENOBUFS);
        return;
    }
    place[0] = (char) ((events & UV_RENAME ? GV_FS_RENAMED : 0) |
                       (events & UV_CHANGE ? GV_FS_CHANGED : 0));
    if (len > 0)
        memcpy(place + 1, name, len);
    gv_ring_put_data(ring, handle->source.id, len + 1);
}

int64_t gv_fs_watch(gv_loop *loop, const char *path, int recursive) {
    int rc = gv_loop_check(loop);
    gv_handle *handle;

    if (rc < 0)
        return rc;
    if (path == NULL)
        return UV_EINVAL;
    handle = calloc(1, sizeof(*handle));
    if (handle == NULL)
        return UV_ENOMEM;
    handle->type = GV_FS_EVENT;
    rc = gv_handle_add(loop, handle, &OPS);
    if (rc < 0) {
        free(handle);
        return rc;
    }
    uv_fs_event_init(&loop->uv, &handle->uv.fs_event);
    handle->uv.any.data = handle;
    rc = uv_fs_event_start(&handle->uv.fs_event, event_cb, path,
                           recursive ? UV_FS_EVENT_RECURSIVE : 0);
    if (rc < 0) {
        gv_handle_shut(handle);
        return rc;
    }
    return handle->source.id;
}
