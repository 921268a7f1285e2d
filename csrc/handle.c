#include "csrc/handle.h"

#include "csrc/loop.h"

#include <fcntl.h>
#include <stdlib.h>

static gv_slot *slot_at(gv_slots *slots, uint32_t index) {
    return &slots->chunks[index / GV_SLOT_CHUNK][index % GV_SLOT_CHUNK];
}

static int new_slot(gv_slots *slots, uint32_t *index) {
    if (slots->first_free != 0) {
        *index = slots->first_free - 1;
        slots->first_free = slot_at(slots, *index)->next_free;
        return 0;
    }
    if (slots->size % GV_SLOT_CHUNK == 0) {
        if (slots->size / GV_SLOT_CHUNK == GV_SLOT_CHUNKS)
            return UV_ENOMEM;
        slots->chunks[slots->size / GV_SLOT_CHUNK] = calloc(GV_SLOT_CHUNK, sizeof(gv_slot));
        if (slots->chunks[slots->size / GV_SLOT_CHUNK] == NULL)
            return UV_ENOMEM;
    }
    *index = slots->size++;
    return 0;
}

int gv_handle_add(gv_loop *loop, gv_handle *handle, const gv_handle_ops *ops) {
    gv_slot *slot;
    uint32_t index;
    int rc;

    rc = new_slot(&loop->slots, &index);
    if (rc < 0)
        return rc;
    slot = slot_at(&loop->slots, index);
    /* Never 0, and never so large that an id is no positive int64. Most ids are below
     * 2^30, which Python converts in half the time. */
    slot->generation = (slot->generation + 1) & 0x7fffffff;
    if (slot->generation == 0)
        slot->generation = 1;
    slot->handle = handle;
    loop->slots.live++;
    handle->loop = loop;
    handle->ops = ops;
    handle->source.id = ((int64_t) slot->generation << GV_SLOT_BITS) | index;
    return 0;
}

void gv_handle_drop(gv_handle *handle) {
    gv_slots *slots = &handle->loop->slots;
    uint32_t index = (uint32_t) handle->source.id & GV_SLOT_MASK;
    gv_slot *slot = slot_at(slots, index);

    slot->handle = NULL;
    slot->next_free = slots->first_free;
    slots->first_free = index + 1;
    slots->live--;
}

gv_handle *gv_handle_find(gv_loop *loop, int64_t id) {
    uint32_t index = (uint32_t) id & GV_SLOT_MASK;
    gv_slot *slot;

    if (id <= 0 || index >= loop->slots.size)
        return NULL;
    slot = slot_at(&loop->slots, index);
    return slot->generation == (uint64_t) id >> GV_SLOT_BITS ? slot->handle : NULL;
}

void gv_handle_reap(gv_loop *loop, int64_t id) {
    gv_handle *handle = gv_handle_find(loop, id);

    gv_handle_drop(handle);
    free(handle);
}

void gv_handle_mark(gv_handle *handle) {
    gv_loop *loop = handle->loop;

    if (handle->dirty || handle->shut)
        return;
    handle->dirty = true;
    handle->next_dirty = NULL;
    if (loop->first_dirty == NULL)
        loop->first_dirty = handle;
    else
        loop->last_dirty->next_dirty = handle;
    loop->last_dirty = handle;
}

static void close_cb(uv_handle_t *uv) {
    gv_handle *handle = uv->data;

    handle->ops->closed(handle);
    gv_ring_report(&handle->loop->ring, &handle->source, GV_CLOSED);
}

/* O_NONBLOCK belongs to the open file, which others may share: a terminal left
 * non-blocking breaks the shell that comes after us. */
static void restore_blocking(const gv_handle *handle) {
    int fd = gv_handle_fd(handle);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

void gv_handle_claim(const gv_handle *handle) {
    int fd = gv_handle_fd(handle);

    if (fd >= 0)
        gv_fds_claim(&handle->loop->fds, fd);
}

int gv_handle_try(const gv_handle *handle) {
    return handle->foreign ? gv_fd_try(uv_backend_fd(&handle->loop->uv), gv_handle_fd(handle)) : 0;
}

void gv_handle_shut(gv_handle *handle) {
    int fd = gv_handle_fd(handle);

    if (fd >= 0)
        gv_fds_release(&handle->loop->fds, fd);
    handle->ops->closing(handle);
    handle->shut = true;
    gv_wheel_remove(&handle->loop->wheel, &handle->deadline);
    if (handle->was_blocking)
        restore_blocking(handle);
    uv_close(&handle->uv.any, close_cb);
    if (handle->ops->shut != NULL)
        handle->ops->shut(handle);
}

int gv_handle_close(gv_loop *loop, int64_t id) {
    gv_handle *handle;
    int rc = gv_loop_check(loop);

    if (rc < 0)
        return rc;
    handle = gv_handle_find(loop, id);
    if (handle == NULL)
        return UV_EBADF;
    if (handle->type == GV_FS) /* that is no handle of libuv's */
        return UV_EINVAL;
    if (handle->shut)
        return UV_EALREADY;
    gv_handle_shut(handle);
    return 0;
}

int gv_handle_fd(const gv_handle *handle) {
    uv_os_fd_t fd;
    int rc = uv_fileno(&handle->uv.any, &fd);

    return rc < 0 ? rc : fd;
}

int gv_handle_fileno(gv_loop *loop, int64_t id) {
    gv_handle *handle;
    int rc = gv_loop_check(loop);

    if (rc < 0)
        return rc;
    handle = gv_handle_find(loop, id);
    if (handle == NULL || handle->shut || handle->type == GV_FS)
        return UV_EBADF;
    return gv_handle_fd(handle);
}
