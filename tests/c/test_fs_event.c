/* What is told of a folder that changes, and of too much of it. */
#include "turns.h"

#include "csrc/fs_event.h"

#include <stdlib.h>

static char folder[] = "/tmp/test_fs_event_XXXXXX";

static const char *inside(const char *name) {
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void touch(const char *name) {
    int fd = open(inside(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
}

static int64_t watch(const char *path) {
    int64_t id = gv_fs_watch(loop, path, 0);

    CHECK(id > 0);
    return id;
}

static void end(int64_t id) {
    CHECK_EQ(gv_handle_close(loop, id), 0);
    await(id, GV_CLOSED);
}

/* Make turns until the watch tells of `name`, and return how it has changed. */
static int await_change(int64_t id, const char *name) {
    for (;;) {
        record found = await(id, GV_DATA);
        const char *data = gv_loop_arena(loop) + found.a;

        if (found.b == (int64_t) strlen(name) + 1 && memcmp(data + 1, name, strlen(name)) == 0)
            return data[0];
    }
}

static void changes_have_a_name(void) {
    int64_t id = watch(folder);

    touch("spam");
    CHECK_EQ(await_change(id, "spam"), GV_FS_RENAMED);
    CHECK_EQ(await_change(id, "spam"), GV_FS_CHANGED);
    CHECK_EQ(rename(inside("spam"), folder), -1);
    unlink(inside("spam"));
    CHECK_EQ(await_change(id, "spam"), GV_FS_RENAMED);
    end(id);
}

static void two_watches_of_one_folder(void) {
    int64_t one = watch(folder);
    int64_t other = watch(folder);

    touch("eggs");
    CHECK_EQ(await_change(one, "eggs"), GV_FS_RENAMED);
    end(one);
    unlink(inside("eggs"));
    while (await_change(other, "eggs") != GV_FS_RENAMED)
        ;
    end(other);
}

/* More than the ring has room for is said, and nothing is written behind its end. */
static void too_many_changes_are_refused(void) {
    int64_t id = watch(folder);
    int64_t refused = 0;
    char name[16];

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        touch(name);
    }
    while (refused == 0) {
        turn(-1);
        refused += count(id, GV_REFUSED);
    }
    settle();
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        unlink(inside(name));
    }
    settle();
    touch("ham"); /* it goes on behind that */
    await_change(id, "ham");
    unlink(inside("ham"));
    end(id);
}

static void misuse_is_an_error(void) {
    int64_t id = watch(folder);

    CHECK_EQ(gv_fs_watch(loop, inside("nonesuch"), 0), UV_ENOENT);
    CHECK_EQ(gv_fs_watch(loop, NULL, 0), UV_EINVAL);
    CHECK_EQ(gv_handle_close(loop, id), 0);
    CHECK_EQ(gv_handle_close(loop, id), UV_EALREADY);
    await(id, GV_CLOSED);
}

int main(void) {
    CHECK(mkdtemp(folder) != NULL);
    open_loop(16, PLENTY, PLENTY);
    changes_have_a_name();
    two_watches_of_one_folder();
    too_many_changes_are_refused();
    misuse_is_an_error();
    close_loop();
    rmdir(folder);
    return 0;
}
