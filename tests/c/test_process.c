/* Starting children: what they get, and who hears of them. */
#include "check.h"

#include "csrc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static char *no_variables[] = {NULL};

static int64_t start(const char *command, const int *fds, int count, int64_t user) {
    char *arguments[] = {"sh", "-c", (char *) (uintptr_t) command, NULL};
    gv_process process = {
        .file = "sh",
        .arguments = arguments,
        .fds = fds,
        .fd_count = count,
        .user = user,
        .group = -1,
    };

    return gv_process_spawn(&process);
}

static int status_of(int64_t pid) {
    int status;

    CHECK(pid > 0);
    CHECK_EQ(waitpid((pid_t) pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void its_status_is_for_who_waits(void) {
    const int fds[] = {0, 1, 2};

    CHECK_EQ(status_of(start("exit 7", fds, 3, -1)), 7);
    CHECK_EQ(status_of(start("kill -9 $$", fds, 3, -1)), -9);
    CHECK_EQ(status_of(start("exit 7", fds, 3, (int64_t) getuid())), 7);
}

/* Where each descriptor is the place of another. */
static void descriptors_change_places(void) {
    char text[8] = "";
    int pipes[2], fds[8], i, low;

    CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
    for (i = 0; i < 8; i++)
        fds[i] = -1;
    low = pipes[0] < pipes[1] ? pipes[0] : pipes[1];
    CHECK(low >= 3 && pipes[0] < 8 && pipes[1] < 8);
    fds[pipes[0]] = pipes[1];
    fds[pipes[1]] = pipes[0];
    char command[64];
    snprintf(command, sizeof(command), "echo spam >&%d; read x <&%d; test $x = spam", pipes[0],
             pipes[1]);
    CHECK_EQ(status_of(start(command, fds, 8, -1)), 0);
    close(pipes[1]);
    CHECK_EQ(read(pipes[0], text, sizeof(text)), 0);
    close(pipes[0]);
}

static void null_is_what_the_first_three_get_for_none(void) {
    const int fds[] = {-1, -1, -1, -1};

    CHECK_EQ(status_of(start("true >&3", fds, 4, -1)) != 0, 1); /* but not behind */
    CHECK_EQ(status_of(start("cat; echo spam", fds, 3, -1)), 0);
}

static void nothing_is_left_of_what_cannot_be_started(void) {
    char *arguments[] = {"x", NULL};
    const int closed[] = {0, 1, 2, 1000};
    gv_process process = {.file = "/nonesuch", .arguments = arguments, .user = -1, .group = -1};

    CHECK_EQ(gv_process_spawn(&process), UV_ENOENT);
    process.file = "/etc/passwd";
    CHECK_EQ(gv_process_spawn(&process), UV_EACCES);
    process.file = "true";
    process.variables = no_variables;
    CHECK_EQ(gv_process_spawn(&process) > 0, 1); /* the PATH of a shell without one */
    CHECK_EQ(wait(NULL) > 0, 1);
    process.folder = "/nonesuch";
    CHECK_EQ(gv_process_spawn(&process), UV_ENOENT);
    process.user = getuid();
    CHECK_EQ(gv_process_spawn(&process), UV_ENOENT);
    CHECK_EQ(start("true", closed, 4, -1), UV_EBADF);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
    CHECK_EQ(errno, ECHILD);
}

static void arguments_that_make_no_sense(void) {
    char *arguments[] = {"x", NULL};
    gv_process process = {.file = "true", .arguments = arguments, .fd_count = 3};

    CHECK_EQ(gv_process_spawn(NULL), UV_EINVAL);
    CHECK_EQ(gv_process_spawn(&process), UV_EINVAL);
    process.fd_count = -1;
    CHECK_EQ(gv_process_spawn(&process), UV_EINVAL);
    process.fd_count = 0;
    process.file = NULL;
    CHECK_EQ(gv_process_spawn(&process), UV_EINVAL);
}

static volatile sig_atomic_t heard;

static void hear(int number) {
    (void) number;
    heard++;
}

static void the_handler_of_sigchld_stays_and_hears_of_all(void) {
    struct sigaction action = {.sa_handler = hear}, now;
    const int fds[] = {0, 1, 2};
    int64_t user[] = {-1, (int64_t) getuid()};

    sigaction(SIGCHLD, &action, NULL);
    for (int i = 0; i < 40; i++) {
        int before = heard;
        int64_t pid = start("true", fds, 3, user[i % 2]);

        CHECK_EQ(sigaction(SIGCHLD, NULL, &now), 0);
        CHECK(now.sa_handler == hear);
        while (waitpid((pid_t) pid, NULL, 0) < 0)
            CHECK_EQ(errno, EINTR);
        while (heard == before)
            usleep(100);
    }
    signal(SIGCHLD, SIG_DFL);
}

static void *start_many(void *unused) {
    const int fds[] = {0, 1, 2};

    (void) unused;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(status_of(start("exit 3", fds, 3, i % 2 ? -1 : (int64_t) getuid())), 3);
    return NULL;
}

static void threads_may_start_them_at_once(void) {
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, start_many, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

int main(void) {
    its_status_is_for_who_waits();
    descriptors_change_places();
    null_is_what_the_first_three_get_for_none();
    nothing_is_left_of_what_cannot_be_started();
    arguments_that_make_no_sense();
    the_handler_of_sigchld_stays_and_hears_of_all();
    threads_may_start_them_at_once();
    return 0;
}
