#include "csrc/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 65536 };

typedef struct {
    gv_handle handle; /* for its id; libuv knows nothing of it */
    union {
        uv_req_t any;
        uv_fs_t fs;
        uv_work_t work;
    } req;
    int kind;
    bool done;
    char *path;
    char *data; /* to be written, or read */
    int64_t length;
    int64_t a;
    int64_t b;
    int64_t result;
} gv_fs;

static void done(gv_fs *fs, int64_t result) {
    gv_handle *handle = &fs->handle;

    fs->done = true;
    fs->result = result;
    handle->source.written = result;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_DONE);
}

static void fs_cb(uv_fs_t *req) {
    done(req->data, req->result);
}

/* --- whole files, with one trip to a thread instead of four --- */

static int64_t open_file(uv_loop_t *loop, const char *path, int flags, int mode) {
    uv_fs_t req;
    int64_t fd = uv_fs_open(loop, &req, path, flags, mode, NULL);

    uv_fs_req_cleanup(&req);
    return fd;
}

static int64_t close_file(uv_loop_t *loop, int64_t fd) {
    uv_fs_t req;
    int64_t rc = uv_fs_close(loop, &req, (uv_file) fd, NULL);

    uv_fs_req_cleanup(&req);
    return rc;
}

static int64_t move_bytes(uv_loop_t *loop, int64_t fd, char *data, int64_t length, bool reading) {
    uv_buf_t buf = uv_buf_init(data, (unsigned) (length > INT32_MAX ? INT32_MAX : length));
    uv_fs_t req;
    int64_t count = reading ? uv_fs_read(loop, &req, (uv_file) fd, &buf, 1, -1, NULL)
                            : uv_fs_write(loop, &req, (uv_file) fd, &buf, 1, -1, NULL);

    uv_fs_req_cleanup(&req);
    return count;
}

static int64_t size_of(uv_loop_t *loop, int64_t fd) {
    uv_fs_t req;
    int64_t size =
        uv_fs_fstat(loop, &req, (uv_file) fd, NULL) < 0 ? 0 : (int64_t) req.statbuf.st_size;

    uv_fs_req_cleanup(&req);
    return size;
}

static int64_t read_all(gv_fs *fs, int64_t fd) {
    uv_loop_t *loop = &fs->handle.loop->uv;
    int64_t size = size_of(loop, fd), used = 0;
    int64_t room = size + 1; /* to see the end */
    bool ended = false;

    while (!ended) {
        int64_t count;
        char *data = fs->data;

        if (used > fs->a)
            return UV_EFBIG;
        if (used == room)
            room += room < CHUNK ? CHUNK : room;
        if (room - 1 > fs->a)
            room = fs->a + 1;
        if (fs->data == NULL || used > 0)
            data = realloc(fs->data, (size_t) room + 1);
        if (data == NULL)
            return UV_ENOMEM;
        fs->data = data;
        count = move_bytes(loop, fd, data + used, room - used, true);
        if (count < 0)
            return count;
        /* A short read is the end of what is as long as it says; files in /proc say 0. */
        ended = count == 0 || (size > 0 && count < room - used && used + count >= size);
        used += count;
    }
    return used > fs->a ? UV_EFBIG : used;
}

static int64_t write_all(gv_fs *fs, int64_t fd) {
    int64_t used = 0;

    while (used < fs->length) {
        int64_t count =
            move_bytes(&fs->handle.loop->uv, fd, fs->data + used, fs->length - used, false);

        if (count < 0)
            return count;
        used += count;
    }
    return used;
}

static void work_cb(uv_work_t *work) {
    gv_fs *fs = work->data;
    uv_loop_t *loop = &fs->handle.loop->uv;
    bool reads = fs->kind == GV_FS_READ_FILE;
    int64_t fd = open_file(loop, fs->path, reads ? O_RDONLY | O_CLOEXEC : (int) fs->a, (int) fs->b);
    int64_t rc;

    fs->result = fd;
    if (fd < 0)
        return;
    fs->result = reads ? read_all(fs, fd) : write_all(fs, fd);
    rc = close_file(loop, fd);
    if (rc < 0 && fs->result >= 0 && !reads)
        fs->result = rc;
}

static void after_work_cb(uv_work_t *work, int status) {
    gv_fs *fs = work->data;

    done(fs, status < 0 ? status : fs->result);
}

/* --- requests --- */

static int start_on_file(gv_fs *fs, const gv_fs_call *call) {
    uv_loop_t *loop = &fs->handle.loop->uv;
    uv_buf_t buf = uv_buf_init(fs->data, (unsigned) call->length);
    uv_file fd = (uv_file) call->fd;
    uv_fs_t *req = &fs->req.fs;

    switch (call->kind) {
    case GV_FS_CLOSE:
        return uv_fs_close(loop, req, fd, fs_cb);
    case GV_FS_READ:
        return uv_fs_read(loop, req, fd, &buf, 1, call->offset, fs_cb);
    case GV_FS_WRITE:
        return uv_fs_write(loop, req, fd, &buf, 1, call->offset, fs_cb);
    case GV_FS_FSTAT:
        return uv_fs_fstat(loop, req, fd, fs_cb);
    case GV_FS_FSYNC:
        return uv_fs_fsync(loop, req, fd, fs_cb);
    case GV_FS_FDATASYNC:
        return uv_fs_fdatasync(loop, req, fd, fs_cb);
    case GV_FS_TRUNCATE:
        return uv_fs_ftruncate(loop, req, fd, call->offset, fs_cb);
    default:
        return UV_EINVAL;
    }
}

static int start_on_two(gv_fs *fs, const gv_fs_call *call) {
    uv_loop_t *loop = &fs->handle.loop->uv;
    uv_fs_t *req = &fs->req.fs;

    if (call->other == NULL)
        return UV_EINVAL;
    switch (call->kind) {
    case GV_FS_RENAME:
        return uv_fs_rename(loop, req, call->path, call->other, fs_cb);
    case GV_FS_SYMLINK:
        return uv_fs_symlink(loop, req, call->path, call->other, (int) call->a, fs_cb);
    case GV_FS_LINK:
        return uv_fs_link(loop, req, call->path, call->other, fs_cb);
    default:
        return uv_fs_copyfile(loop, req, call->path, call->other, (int) call->a, fs_cb);
    }
}

static int start_on_path(gv_fs *fs, const gv_fs_call *call) {
    uv_loop_t *loop = &fs->handle.loop->uv;
    uv_fs_t *req = &fs->req.fs;
    const char *path = call->path;
    int mode = (int) call->b;

    if (path == NULL)
        return UV_EINVAL;
    switch (call->kind) {
    case GV_FS_OPEN:
        return uv_fs_open(loop, req, path, (int) call->a, mode, fs_cb);
    case GV_FS_STAT:
        return uv_fs_stat(loop, req, path, fs_cb);
    case GV_FS_LSTAT:
        return uv_fs_lstat(loop, req, path, fs_cb);
    case GV_FS_SCANDIR:
        return uv_fs_scandir(loop, req, path, 0, fs_cb);
    case GV_FS_MKDIR:
        return uv_fs_mkdir(loop, req, path, mode, fs_cb);
    case GV_FS_RMDIR:
        return uv_fs_rmdir(loop, req, path, fs_cb);
    case GV_FS_UNLINK:
        return uv_fs_unlink(loop, req, path, fs_cb);
    case GV_FS_READLINK:
        return uv_fs_readlink(loop, req, path, fs_cb);
    case GV_FS_REALPATH:
        return uv_fs_realpath(loop, req, path, fs_cb);
    case GV_FS_CHMOD:
        return uv_fs_chmod(loop, req, path, mode, fs_cb);
    case GV_FS_CHOWN:
        return uv_fs_chown(loop, req, path, (uv_uid_t) call->a, (uv_gid_t) call->b, fs_cb);
    case GV_FS_UTIME:
        return uv_fs_utime(loop, req, path, call->accessed, call->modified, fs_cb);
    case GV_FS_ACCESS:
        return uv_fs_access(loop, req, path, mode, fs_cb);
    case GV_FS_MKDTEMP:
        return uv_fs_mkdtemp(loop, req, path, fs_cb);
    case GV_FS_MKSTEMP:
        return uv_fs_mkstemp(loop, req, path, fs_cb);
    default:
        return start_on_two(fs, call);
    }
}

static int start(gv_fs *fs, const gv_fs_call *call) {
    switch (call->kind) {
    case GV_FS_READ_FILE:
    case GV_FS_WRITE_FILE:
        if (call->path == NULL || (call->kind == GV_FS_READ_FILE && call->a < 0))
            return UV_EINVAL;
        fs->path = strdup(call->path);
        if (fs->path == NULL)
            return UV_ENOMEM;
        return uv_queue_work(&fs->handle.loop->uv, &fs->req.work, work_cb, after_work_cb);
    case GV_FS_CLOSE:
    case GV_FS_READ:
    case GV_FS_WRITE:
    case GV_FS_FSTAT:
    case GV_FS_FSYNC:
    case GV_FS_FDATASYNC:
    case GV_FS_TRUNCATE:
        return start_on_file(fs, call);
    default:
        return start_on_path(fs, call);
    }
}

/* Memory for what is read, or a copy of what is to be written. */
static int take_data(gv_fs *fs, const gv_fs_call *call) {
    bool reads = call->kind == GV_FS_READ;

    if (call->length < 0 || call->length > INT32_MAX)
        return UV_EINVAL;
    if (!reads && call->data == NULL)
        return call->length == 0 ? 0 : UV_EINVAL;
    fs->length = call->length;
    fs->data = malloc((size_t) call->length + 1);
    if (fs->data == NULL)
        return UV_ENOMEM;
    if (!reads)
        memcpy(fs->data, call->data, (size_t) call->length);
    return 0;
}

static void drop(gv_fs *fs) {
    gv_handle_drop(&fs->handle);
    free(fs->path);
    free(fs->data);
    free(fs);
}

int64_t gv_fs_begin(gv_loop *loop, const gv_fs_call *call) {
    int rc = gv_loop_check(loop);
    gv_fs *fs;

    if (rc < 0)
        return rc;
    if (call == NULL || call->kind < 0 || call->kind > GV_FS_MKSTEMP)
        return UV_EINVAL;
    fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return UV_ENOMEM;
    fs->handle.type = GV_FS;
    rc = gv_handle_add(loop, &fs->handle, NULL);
    if (rc < 0) {
        free(fs);
        return rc;
    }
    fs->kind = call->kind;
    fs->a = call->a;
    fs->b = call->b;
    fs->req.any.data = fs;
    rc = take_data(fs, call);
    if (rc == 0)
        rc = start(fs, call);
    if (rc < 0) {
        drop(fs);
        return rc;
    }
    return fs->handle.source.id;
}

static gv_fs *find(gv_loop *loop, int64_t id, int *rc) {
    gv_handle *handle;

    *rc = gv_loop_check(loop);
    if (*rc < 0)
        return NULL;
    handle = gv_handle_find(loop, id);
    if (handle == NULL)
        *rc = UV_EBADF;
    else if (handle->type != GV_FS)
        *rc = UV_EINVAL;
    return *rc < 0 ? NULL : (gv_fs *) handle;
}

static gv_fs *find_done(gv_loop *loop, int64_t id, int *rc) {
    gv_fs *fs = find(loop, id, rc);

    if (fs != NULL && !fs->done)
        *rc = UV_EBUSY;
    return *rc < 0 ? NULL : fs;
}

int gv_fs_cancel(gv_loop *loop, int64_t id) {
    int rc;
    gv_fs *fs = find(loop, id, &rc);

    if (fs == NULL)
        return rc;
    return fs->done ? UV_EBUSY : uv_cancel(&fs->req.any);
}

static bool is_work(const gv_fs *fs) {
    return fs->kind == GV_FS_READ_FILE || fs->kind == GV_FS_WRITE_FILE;
}

const char *gv_fs_data(gv_loop *loop, int64_t id) {
    int rc;
    const gv_fs *fs = find_done(loop, id, &rc);

    if (fs == NULL || fs->result < 0)
        return NULL;
    switch (fs->kind) {
    case GV_FS_READ:
    case GV_FS_READ_FILE:
        return fs->data;
    case GV_FS_READLINK:
    case GV_FS_REALPATH:
        return fs->req.fs.ptr;
    case GV_FS_MKDTEMP:
    case GV_FS_MKSTEMP:
        return fs->req.fs.path;
    default:
        return NULL;
    }
}

static int64_t nanoseconds(const uv_timespec_t *time) {
    return (int64_t) time->tv_sec * 1000000000 + time->tv_nsec;
}

int gv_fs_get_status(gv_loop *loop, int64_t id, gv_fs_status *out) {
    int rc;
    const gv_fs *fs = find_done(loop, id, &rc);
    const uv_stat_t *status;

    if (fs == NULL)
        return rc;
    if (out == NULL || fs->result < 0 ||
        (fs->kind != GV_FS_STAT && fs->kind != GV_FS_LSTAT && fs->kind != GV_FS_FSTAT))
        return UV_EINVAL;
    status = &fs->req.fs.statbuf;
    out->mode = (int64_t) status->st_mode;
    out->ino = (int64_t) status->st_ino;
    out->dev = (int64_t) status->st_dev;
    out->nlink = (int64_t) status->st_nlink;
    out->uid = (int64_t) status->st_uid;
    out->gid = (int64_t) status->st_gid;
    out->size = (int64_t) status->st_size;
    out->blksize = (int64_t) status->st_blksize;
    out->blocks = (int64_t) status->st_blocks;
    out->rdev = (int64_t) status->st_rdev;
    out->atime = nanoseconds(&status->st_atim);
    out->mtime = nanoseconds(&status->st_mtim);
    out->ctime = nanoseconds(&status->st_ctim);
    out->birthtime = nanoseconds(&status->st_birthtim);
    return 0;
}

const char *gv_fs_next(gv_loop *loop, int64_t id, int *type) {
    int rc;
    gv_fs *fs = find_done(loop, id, &rc);
    uv_dirent_t entry;

    if (fs == NULL || type == NULL || fs->result < 0 || fs->kind != GV_FS_SCANDIR)
        return NULL;
    if (uv_fs_scandir_next(&fs->req.fs, &entry) < 0)
        return NULL;
    *type = (int) entry.type;
    return entry.name;
}

int gv_fs_free(gv_loop *loop, int64_t id) {
    int rc;
    gv_fs *fs = find_done(loop, id, &rc);

    if (fs == NULL)
        return rc;
    if (fs->handle.source.bits != 0) /* its GV_DONE waits for room in the ring */
        return UV_EBUSY;
    if (!is_work(fs))
        uv_fs_req_cleanup(&fs->req.fs);
    drop(fs);
    return 0;
}
