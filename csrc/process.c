#include "csrc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

extern char **environ;

/* --- posix_spawn(), which shares our memory with the child until it runs the program.
 *     libuv copies the page tables of all of it, which takes twice as long for a small
 *     process and milliseconds for a large one. --- */

/* A source that is also a target would be overwritten before it is used. */
static int move_away(const gv_process *process, int *fds) {
    for (int i = 0; i < process->fd_count; i++) {
        bool taken =
            process->fds[i] >= 0 && process->fds[i] < process->fd_count && process->fds[i] != i;

        fds[i] = process->fds[i];
        if (!taken)
            continue;
        fds[i] = fcntl(process->fds[i], F_DUPFD_CLOEXEC, process->fd_count);
        if (fds[i] < 0) {
            int error = errno;

            while (i-- > 0)
                if (fds[i] != process->fds[i])
                    close(fds[i]);
            return error;
        }
    }
    return 0;
}

static void close_moved(const gv_process *process, const int *fds) {
    for (int i = 0; i < process->fd_count; i++)
        if (fds[i] != process->fds[i])
            close(fds[i]);
}

static int set_actions(posix_spawn_file_actions_t *actions, const gv_process *process,
                       const int *fds) {
    int error = 0;

    if (process->folder != NULL)
        error = posix_spawn_file_actions_addchdir_np(actions, process->folder);
    for (int i = 0; i < process->fd_count && error == 0; i++) {
        if (fds[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, fds[i], i);
        else if (i <= STDERR_FILENO)
            error = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0);
    }
    return error;
}

/* The child begins with no signal blocked or ignored, as from a shell. */
static int set_attributes(posix_spawnattr_t *attributes, const gv_process *process) {
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    sigset_t set;

    sigfillset(&set);
    posix_spawnattr_setsigdefault(attributes, &set);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(attributes, &set);
    return posix_spawnattr_setflags(attributes,
                                    process->detached ? flags | POSIX_SPAWN_SETSID : flags);
}

static const char *find_path(char *const *variables) {
    for (; *variables != NULL; variables++)
        if (strncmp(*variables, "PATH=", 5) == 0)
            return *variables + 5;
    return "/usr/local/bin:/bin:/usr/bin";
}

typedef struct {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
} how;

static int try_file(pid_t *pid, const char *file, const gv_process *process, const how *start) {
    return posix_spawn(pid, file, &start->actions, &start->attributes, process->arguments,
                       process->variables == NULL ? environ : process->variables);
}

/* As execvp(3) looks for it, but in the PATH that the child will see, and without starting
 * a child in vain. */
static int try_path(pid_t *pid, const gv_process *process, const how *start) {
    char *const *variables = process->variables == NULL ? environ : process->variables;
    const char *folder = find_path(variables);
    int result = ENOENT;
    char file[PATH_MAX];
    int len;

    if (strchr(process->file, '/') != NULL || process->file[0] == '\0')
        return try_file(pid, process->file, process, start);
    for (;; folder += len + 1) {
        len = (int) strcspn(folder, ":");
        snprintf(file, sizeof(file), "%.*s%s%s", len, folder, len > 0 ? "/" : "", process->file);
        if (access(file, X_OK) == 0) {
            int error = try_file(pid, file, process, start);

            if (error != EACCES) /* a folder is executable, too */
                return error;
            result = error;
        } else if (errno == EACCES) {
            result = errno; /* that is what to say if there is no other */
        }
        if (folder[len] == '\0')
            return result;
    }
}

static int64_t spawn_sharing(const gv_process *process) {
    int *fds = malloc(sizeof(*fds) * ((size_t) process->fd_count + 1));
    int error = fds == NULL ? ENOMEM : move_away(process, fds);
    pid_t pid = 0;
    how start;

    if (error != 0) {
        free(fds);
        return uv_translate_sys_error(error);
    }
    posix_spawn_file_actions_init(&start.actions);
    posix_spawnattr_init(&start.attributes);
    error = set_actions(&start.actions, process, fds);
    if (error == 0)
        error = set_attributes(&start.attributes, process);
    if (error == 0)
        error = try_path(&pid, process, &start);
    posix_spawnattr_destroy(&start.attributes);
    posix_spawn_file_actions_destroy(&start.actions);
    close_moved(process, fds);
    free(fds);
    return error != 0 ? uv_translate_sys_error(error) : pid;
}

/* --- uv_spawn(), which also sets the user and the group, after a fork --- */

/* Two of these must not overlap: each would put back the other's handler. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void forget_guard(void) {
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    guard = fresh; /* who held it has not come along */
}

static void prepare(void) {
    pthread_atfork(NULL, NULL, forget_guard);
}

static void fill(uv_process_options_t *options, uv_stdio_container_t *stdio,
                 const gv_process *process) {
    for (int i = 0; i < process->fd_count; i++) {
        stdio[i].flags = process->fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
        stdio[i].data.fd = process->fds[i];
    }
    options->file = process->file;
    options->args = (char **) (uintptr_t) process->arguments; /* only read */
    options->env = (char **) (uintptr_t) process->variables;
    options->cwd = process->folder;
    options->stdio = stdio;
    options->stdio_count = process->fd_count;
    options->flags = process->detached ? UV_PROCESS_DETACHED : 0;
    if (process->user >= 0)
        options->flags |= UV_PROCESS_SETUID;
    if (process->group >= 0)
        options->flags |= UV_PROCESS_SETGID;
    options->uid = (uv_uid_t) process->user;
    options->gid = (uv_gid_t) process->group;
}

static int64_t spawn_on(uv_loop_t *loop, const uv_process_options_t *options) {
    uv_process_t child;
    int rc = uv_spawn(loop, &child, options);
    int64_t result = rc < 0 ? rc : child.pid;

    uv_close((uv_handle_t *) &child, NULL); /* before libuv could wait for it */
    uv_run(loop, UV_RUN_DEFAULT);
    return result;
}

/* Whether there may have been a SIGCHLD: a child has ended, stopped or gone on. */
static bool has_news(void) {
    siginfo_t info = {0};
    int which = WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT;

    return waitid(P_ALL, 0, &info, which) == 0 && info.si_pid != 0;
}

/* libuv takes SIGCHLD for itself while it has children, and leaves SIG_DFL behind. So
 * the handler is put back, and told of what came meanwhile. */
static int64_t spawn_quietly(const uv_process_options_t *options) {
    struct sigaction before;
    uv_loop_t loop;
    int64_t result = uv_loop_init(&loop);

    if (result < 0)
        return result;
    sigaction(SIGCHLD, NULL, &before);
    result = spawn_on(&loop, options);
    sigaction(SIGCHLD, &before, NULL);
    uv_loop_close(&loop);
    if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN && has_news())
        kill(getpid(), SIGCHLD);
    return result;
}

static int64_t spawn_as(const gv_process *process) {
    uv_stdio_container_t *stdio = calloc((size_t) process->fd_count + 1, sizeof(*stdio));
    uv_process_options_t options = {0};
    int64_t result;

    if (stdio == NULL)
        return UV_ENOMEM;
    fill(&options, stdio, process);
    pthread_once(&once, prepare);
    pthread_mutex_lock(&guard);
    result = spawn_quietly(&options);
    pthread_mutex_unlock(&guard);
    free(stdio);
    return result;
}

int64_t gv_process_spawn(const gv_process *process) {
    if (process == NULL || process->file == NULL || process->arguments == NULL ||
        process->fd_count < 0 || (process->fds == NULL && process->fd_count > 0))
        return UV_EINVAL;
    return process->user < 0 && process->group < 0 ? spawn_sharing(process) : spawn_as(process);
}
