/* Files: each operation is a request that runs in libuv's thread pool. */
#ifndef GV_FS_H
#define GV_FS_H

#include "csrc/loop.h"

/* cdef: begin */

typedef enum {
    GV_FS_OPEN,       /* path, a: flags, b: mode */
    GV_FS_CLOSE,      /* fd */
    GV_FS_READ,       /* fd, length, offset (-1: where it is); the result lies in the data */
    GV_FS_WRITE,      /* fd, data, length, offset */
    GV_FS_READ_FILE,  /* path, a: how many bytes at most; all of it, in the data */
    GV_FS_WRITE_FILE, /* path, data, length, a: flags, b: mode */
    GV_FS_STAT,       /* path */
    GV_FS_LSTAT,      /* path */
    GV_FS_FSTAT,      /* fd */
    GV_FS_SCANDIR,    /* path */
    GV_FS_MKDIR,      /* path, b: mode */
    GV_FS_RMDIR,      /* path */
    GV_FS_RENAME,     /* path, other */
    GV_FS_UNLINK,     /* path */
    GV_FS_SYMLINK,    /* path: what it leads to, other: the link */
    GV_FS_LINK,       /* path: what is there, other: the link */
    GV_FS_READLINK,   /* path */
    GV_FS_REALPATH,   /* path */
    GV_FS_CHMOD,      /* path, b: mode */
    GV_FS_CHOWN,      /* path, a: user, b: group */
    GV_FS_UTIME,      /* path, accessed, modified */
    GV_FS_ACCESS,     /* path, b: mode */
    GV_FS_FSYNC,      /* fd */
    GV_FS_FDATASYNC,  /* fd */
    GV_FS_TRUNCATE,   /* fd, offset */
    GV_FS_COPY,       /* path, other, a: flags of uv_fs_copyfile() */
    GV_FS_MKDTEMP,    /* path: ends with XXXXXX */
    GV_FS_MKSTEMP     /* the same; the result is open */
} gv_fs_kind;

typedef struct {
    int kind;
    const char *path;
    const char *other;
    const char *data; /* is copied */
    int64_t fd;
    int64_t length;
    int64_t offset;
    int64_t a;
    int64_t b;
    double accessed; /* seconds since 1970 */
    double modified;
} gv_fs_call;

typedef struct {
    int64_t mode, ino, dev, nlink, uid, gid, size, blksize, blocks, rdev;
    int64_t atime, mtime, ctime, birthtime; /* nanoseconds since 1970 */
} gv_fs_status;

/* Begin. Returns an id or a negative code. GV_DONE brings the result: what the system
 * call would return, or a negative code. Then gv_fs_free() has to be called. */
int64_t gv_fs_begin(gv_loop *loop, const gv_fs_call *call);

/* Try to have it not done; GV_DONE with UV_ECANCELED follows if it was not begun, else that of its
 * end. */
int gv_fs_cancel(gv_loop *loop, int64_t id);

/* What it has brought, once GV_DONE has come: bytes that were read, or a path with a NUL behind
 * it; NULL if there is nothing. Lent until gv_fs_free(). */
const char *gv_fs_data(gv_loop *loop, int64_t id);

/* The same for what is known about a file. */
int gv_fs_get_status(gv_loop *loop, int64_t id, gv_fs_status *out);

/* The next entry of a folder, and its type (a uv_dirent_type_t); NULL after the last. */
const char *gv_fs_next(gv_loop *loop, int64_t id, int *type);

/* Forget it. UV_EBUSY before GV_DONE has come. */
int gv_fs_free(gv_loop *loop, int64_t id);

/* cdef: end */

#endif
