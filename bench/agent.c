/* agent.c: stands for one coding agent: a session of its own that starts searches, several at once, as it is told.
 *
 * In, on descriptor 0: jobs: a struct job, then `size` bytes of strings, each ended by a NUL: the folder to start in,
 *     argc arguments (the first is the program's path), envc NAME=VALUE strings.
 * Out, on descriptor 1: for each job, in the order of their ends: a struct result, then `size` bytes of its stdout.
 * Ends at end of input, when all that was started has ended.
 * Descriptors of a job: stdin and stderr are /dev/null, stdout is a pipe that is read here; more than kMostBytes of it
 *     are counted and not kept. The clock runs from before the spawn to after the exit.
 * Invariant: a job is a child of this process, which leads its session: the daemon counts all of them as one agent's.
 *
 * Build:
 * cc -std=gnu17 -O2 -Wall -Wextra -Wconversion -Werror -pthread -o agent bench/agent.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMaxStrings = 1 << 16, kMaxWords = 256, kMostBytes = 1 << 22 };

struct job {
    uint32_t id, size, argc, envc;
};

struct result {
    uint32_t id, size;                  /* bytes of stdout that follow */
    uint64_t ns, stdout_bytes;          /* all of them */
    int32_t status;                     /* exit code; -1: could not start, -3: died by a signal */
    uint32_t pad;
};

struct work {
    struct job job;
    char strings[];
};

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* 0 when not all came. */
static int take(void *to, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t got = read(0, (char *)to + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return 0;
        have += (size_t)got;
    }
    return 1;
}

static void tell(const void *from, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t sent = write(1, (const char *)from + done, size - done);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) exit(2);
        done += (size_t)sent;
    }
}

static void *run(void *given) {
    struct work *work = given;
    struct result result = {work->job.id, 0, 0, 0, -1, 0};
    char *words[kMaxWords + 2], **to = words, *at = work->strings, *out = malloc(kMostBytes);
    const char *folder = at;
    at += strlen(at) + 1;
    for (uint32_t i = 0; i < work->job.argc + work->job.envc; i++, at += strlen(at) + 1) {
        if (i == work->job.argc) *to++ = NULL;
        *to++ = at;
    }
    if (work->job.envc == 0) *to++ = NULL;
    *to = NULL;
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    if (!out || pipe2(ends, O_CLOEXEC) < 0) exit(2);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    pid_t child;
    uint64_t start_ns = now_ns();
    int error = posix_spawn(&child, words[0], &actions, NULL, words, words + work->job.argc + 1);
    close(ends[1]);
    for (;;) {
        static __thread char piece[1 << 16];
        ssize_t got = read(ends[0], piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size_t room = kMostBytes - result.size, keep = (size_t)got < room ? (size_t)got : room;
        memcpy(out + result.size, piece, keep);
        result.size += (uint32_t)keep;
        result.stdout_bytes += (uint64_t)got;
    }
    if (!error) {
        while (waitpid(child, &status, 0) < 0) {}
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -3;
    }
    result.ns = now_ns() - start_ns;
    close(ends[0]);
    posix_spawn_file_actions_destroy(&actions);
    pthread_mutex_lock(&telling);
    tell(&result, sizeof result);
    tell(out, result.size);
    pthread_mutex_unlock(&telling);
    free(out);
    free(work);
    return NULL;
}

int main(void) {
    struct job job;
    pthread_attr_t small;
    setsid();
    fcntl(0, F_SETFD, FD_CLOEXEC);
    fcntl(1, F_SETFD, FD_CLOEXEC);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 1 << 18);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    while (take(&job, sizeof job)) {
        struct work *work = malloc(sizeof *work + job.size);
        if (!work || job.size == 0 || job.size > kMaxStrings || job.argc == 0 || job.argc + job.envc > kMaxWords) return 2;
        work->job = job;
        if (!take(work->strings, job.size) || work->strings[job.size - 1] != 0) return 2;
        size_t words = 0;
        for (uint32_t i = 0; i < job.size; i++) words += work->strings[i] == 0;
        if (words != 1u + job.argc + job.envc) return 2;
        pthread_t thread;
        if (pthread_create(&thread, &small, run, work) != 0) return 2;
    }
    pthread_exit(NULL);
}
