/* Files: requests that end once, whatever is done to them meanwhile. */
#include "turns.h"

#include "csrc/fs.h"

#include <stdlib.h>
#include <sys/stat.h>

static char folder[] = "/tmp/test_fs_XXXXXX";
static char path[64];

static int64_t begin(gv_fs_call call) {
    int64_t id = gv_fs_begin(loop, &call);

    CHECK(id > 0);
    return id;
}

/* Begin it, wait for its end, and return the result; the request is `last`. */
static int64_t last;

static int64_t run(gv_fs_call call) {
    last = begin(call);
    return await(last, GV_DONE).a;
}

static void forget(void) {
    CHECK_EQ(gv_fs_free(loop, last), 0);
    CHECK_EQ(gv_fs_free(loop, last), UV_EBADF);
}

static int64_t simple(gv_fs_call call) {
    int64_t result = run(call);

    forget();
    return result;
}

static void a_file_is_written_and_read(void) {
    int64_t fd = simple((gv_fs_call){
        .kind = GV_FS_OPEN, .path = path, .a = O_RDWR | O_CREAT | O_CLOEXEC, .b = 0600});
    gv_fs_status status;

    CHECK(fd > 0);
    CHECK_EQ(simple((gv_fs_call){
                 .kind = GV_FS_WRITE, .fd = fd, .data = "spam", .length = 4, .offset = -1}),
             4);
    CHECK_EQ(run((gv_fs_call){.kind = GV_FS_READ, .fd = fd, .length = 100, .offset = 1}), 3);
    CHECK(memcmp(gv_fs_data(loop, last), "pam", 3) == 0);
    CHECK_EQ(gv_fs_get_status(loop, last, &status), UV_EINVAL);
    forget();
    CHECK_EQ(run((gv_fs_call){.kind = GV_FS_FSTAT, .fd = fd}), 0);
    CHECK_EQ(gv_fs_get_status(loop, last, &status), 0);
    CHECK_EQ(status.size, 4);
    CHECK(gv_fs_data(loop, last) == NULL);
    forget();
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_TRUNCATE, .fd = fd, .offset = 2}), 0);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_FSYNC, .fd = fd}), 0);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_CLOSE, .fd = fd}), 0);
    CHECK_EQ(run((gv_fs_call){.kind = GV_FS_READ_FILE, .path = path, .a = 100}), 2);
    CHECK(memcmp(gv_fs_data(loop, last), "sp", 2) == 0);
    forget();
}

static void whole_files_of_any_size(void) {
    enum { SIZE = 300000 };
    char *data = calloc(1, SIZE);

    memset(data, 'x', SIZE);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_WRITE_FILE,
                                 .path = path,
                                 .data = data,
                                 .length = SIZE,
                                 .a = O_WRONLY | O_CREAT | O_TRUNC,
                                 .b = 0600}),
             SIZE);
    CHECK_EQ(run((gv_fs_call){.kind = GV_FS_READ_FILE, .path = path, .a = SIZE}), SIZE);
    CHECK(memcmp(gv_fs_data(loop, last), data, SIZE) == 0);
    forget();
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_READ_FILE, .path = path, .a = SIZE - 1}), UV_EFBIG);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_READ_FILE, .path = "/dev/zero", .a = SIZE}),
             UV_EFBIG);
    CHECK(simple((gv_fs_call){.kind = GV_FS_READ_FILE, .path = "/proc/self/maps", .a = SIZE}) > 0);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_READ_FILE, .path = folder, .a = SIZE}), UV_EISDIR);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_READ_FILE, .path = "/nonesuch", .a = SIZE}),
             UV_ENOENT);
    free(data);
}

static void folders_and_names(void) {
    char other[80];
    const char *name;
    int type, seen = 0;

    snprintf(other, sizeof(other), "%s/other", folder);
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_LINK, .path = path, .other = other}), 0);
    CHECK(run((gv_fs_call){.kind = GV_FS_SCANDIR, .path = folder}) == 2);
    while ((name = gv_fs_next(loop, last, &type)) != NULL) {
        CHECK(strcmp(name, "file") == 0 || strcmp(name, "other") == 0);
        CHECK(type == UV_DIRENT_FILE || type == UV_DIRENT_UNKNOWN);
        seen++;
    }
    CHECK_EQ(seen, 2);
    CHECK(gv_fs_next(loop, last, &type) == NULL);
    forget();
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_UNLINK, .path = other}), 0);
    CHECK_EQ(run((gv_fs_call){.kind = GV_FS_REALPATH, .path = path}), 0);
    CHECK(strcmp(gv_fs_data(loop, last), path) == 0);
    forget();
    CHECK_EQ(simple((gv_fs_call){.kind = GV_FS_RENAME, .path = "/nonesuch", .other = other}),
             UV_ENOENT);
}

static void misuse_is_an_error(void) {
    gv_fs_call call = {.kind = 99, .path = path};
    int64_t tcp = gv_tcp_new(loop, AF_INET), id;
    gv_fs_status status;
    char wrong[] = "";
    int type;

    CHECK_EQ(gv_fs_begin(loop, NULL), UV_EINVAL);
    CHECK_EQ(gv_fs_begin(NULL, &call), UV_EBADF);
    CHECK_EQ(gv_fs_begin(loop, &call), UV_EINVAL);
    for (call.kind = 0; call.kind <= GV_FS_MKSTEMP; call.kind++) {
        bool on_path = call.kind != GV_FS_CLOSE && call.kind != GV_FS_READ &&
                       call.kind != GV_FS_WRITE && call.kind != GV_FS_FSTAT &&
                       call.kind != GV_FS_FSYNC && call.kind != GV_FS_FDATASYNC &&
                       call.kind != GV_FS_TRUNCATE;

        call.path = NULL;
        if (on_path)
            CHECK_EQ(gv_fs_begin(loop, &call), UV_EINVAL);
    }
    CHECK_EQ(gv_fs_begin(loop, &(gv_fs_call){.kind = GV_FS_READ, .length = -1}), UV_EINVAL);
    CHECK_EQ(gv_fs_begin(loop, &(gv_fs_call){.kind = GV_FS_WRITE, .length = 1}), UV_EINVAL);
    CHECK_EQ(gv_fs_begin(loop, &(gv_fs_call){.kind = GV_FS_LINK, .path = path}), UV_EINVAL);
    CHECK_EQ(gv_fs_begin(loop, &(gv_fs_call){.kind = GV_FS_READ_FILE, .path = path, .a = -1}),
             UV_EINVAL);
    CHECK_EQ(gv_fs_cancel(loop, tcp), UV_EINVAL);
    CHECK(gv_fs_data(loop, tcp) == NULL);
    CHECK_EQ(gv_fs_free(loop, tcp), UV_EINVAL);
    CHECK_EQ(gv_fs_get_status(loop, tcp, &status), UV_EINVAL);
    CHECK(gv_fs_next(loop, tcp, &type) == NULL);
    id = begin((gv_fs_call){.kind = GV_FS_STAT, .path = path});
    CHECK_EQ(gv_stream_write(loop, id, wrong, 0), UV_EINVAL);
    CHECK_EQ(gv_handle_close(loop, id), UV_EINVAL);
    CHECK_EQ(gv_handle_fileno(loop, id), UV_EBADF);
    await(id, GV_DONE);
    CHECK_EQ(gv_fs_get_status(loop, id, NULL), UV_EINVAL);
    CHECK_EQ(gv_fs_cancel(loop, id), UV_EBUSY);
    CHECK_EQ(gv_fs_free(loop, id), 0);
    CHECK_EQ(gv_fs_cancel(loop, id), UV_EBADF);
    abort_handle(tcp);
}

/* Eight for four threads: the last are never begun. */
static void what_is_cancelled_ends_too(void) {
    int64_t ids[8];
    char fifo[80];
    int fd;

    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    for (int i = 0; i < 8; i++) {
        ids[i] = begin((gv_fs_call){.kind = GV_FS_OPEN, .path = fifo, .a = O_RDONLY});
        CHECK_EQ(gv_fs_free(loop, ids[i]), UV_EBUSY);
    }
    CHECK_EQ(gv_fs_cancel(loop, ids[7]), 0);
    CHECK_EQ(await(ids[7], GV_DONE).a, UV_ECANCELED);
    CHECK_EQ(gv_fs_free(loop, ids[7]), 0);
    CHECK_EQ(gv_loop_close(loop, taken + batch), UV_EBUSY);
    fd = open(fifo, O_RDWR);
    for (int ended = 0; ended < 7;) {
        turn(-1);
        for (int64_t i = 0; i < batch; i++)
            if (record_at(i).kind == GV_DONE) {
                CHECK(record_at(i).a > 0);
                close((int) record_at(i).a);
                ended++;
            }
    }
    turn(0);
    for (int i = 0; i < 7; i++)
        CHECK_EQ(gv_fs_free(loop, ids[i]), 0);
    close(fd);
    unlink(fifo);
}

/* More ends than the ring has room for. */
static void no_end_is_lost(void) {
    enum { COUNT = 500 };
    static int64_t ids[COUNT];
    int done = 0;

    for (int i = 0; i < COUNT; i++)
        ids[i] = begin((gv_fs_call){.kind = GV_FS_ACCESS, .path = path, .b = F_OK});
    while (done < COUNT) {
        turn(-1);
        done += (int) count(0, GV_DONE);
    }
    turn(0);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(gv_fs_free(loop, ids[i]), 0);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/file", folder);
    open_loop(16, PLENTY, PLENTY);
    a_file_is_written_and_read();
    whole_files_of_any_size();
    folders_and_names();
    misuse_is_an_error();
    what_is_cancelled_ends_too();
    no_end_is_lost();
    close_loop();
    unlink(path);
    rmdir(folder);
    return 0;
}
