/* runner.c: runs programs one after the other as it is told, and says how long each took from spawn to exit.
 *
 * In, on descriptor 0: jobs: a struct job, then `size` bytes of strings, each ended by a NUL: the folder to start in,
 *     argc arguments (the first is the program's path), envc NAME=VALUE strings.
 * Out, on descriptor 1: one struct result per job, in order. Ends at end of input.
 * Descriptors of a job: stdin and stderr are /dev/null; stdout is /dev/null, or a pipe that is read here, a piece at a
 *     time, by the same thread that then waits for the exit.
 * Invariant: the clock (CLOCK_MONOTONIC) starts before posix_spawn and stops after waitpid, for every program alike. A
 *     small process does the spawning because the cost of a spawn grows with the memory of who spawns.
 * A job that takes longer than kLimitS seconds is killed: status -2.
 * Not here: statistics, choice of order, reading of results: bench/programs.py.
 *
 * Build:
 * cc -std=gnu17 -O2 -Wall -Wextra -Wconversion -Werror -o runner bench/runner.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kLimitS = 120, kMaxStrings = 1 << 20, kMaxWords = 4096 };

struct job {
    uint32_t size, argc, envc;
    uint32_t read_stdout;               /* 0: /dev/null, 1: a pipe that is read */
};

struct result {
    uint64_t ns, stdout_bytes;
    int32_t status;                     /* exit code, -1: could not start, -2: took too long, -3: died by a signal */
    uint32_t pad;
};

static volatile sig_atomic_t running, too_long;

static void on_alarm(int number) {
    (void)number;
    too_long = 1;
    if (running > 0) kill(running, SIGKILL);
}

static void die(const char *why) {
    perror(why);
    exit(2);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* True when all came, false at end of input before the first byte. */
static int take(void *to, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(0, (char *)to + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) die("runner: read");
        if (got == 0 && have == 0) return 0;
        if (got == 0) exit(2);
        have += (size_t)got;
    }
    return 1;
}

static struct result run(const char *folder, char **argv, char **env, int read_stdout) {
    static char piece[1 << 16];
    struct result result = {0, 0, -1, 0};
    posix_spawn_file_actions_t actions;
    int ends[2] = {-1, -1}, status = 0;
    pid_t child;
    if (read_stdout && pipe2(ends, O_CLOEXEC) < 0) die("runner: pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (read_stdout) posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    else posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    too_long = 0;
    alarm(kLimitS);

    uint64_t start_ns = now_ns();
    int error = posix_spawn(&child, argv[0], &actions, NULL, argv, env);
    if (!error) {
        running = child;
        if (read_stdout) {
            close(ends[1]);
            for (;;) {
                ssize_t got = read(ends[0], piece, sizeof piece);
                if (got < 0 && errno == EINTR) continue;
                if (got <= 0) break;
                result.stdout_bytes += (uint64_t)got;
            }
        }
        while (waitpid(child, &status, 0) < 0) {}
        result.ns = now_ns() - start_ns;
        result.status = too_long ? -2 : WIFEXITED(status) ? WEXITSTATUS(status) : -3;
    }

    alarm(0);
    running = 0;
    posix_spawn_file_actions_destroy(&actions);
    if (error && read_stdout) close(ends[1]);
    if (read_stdout) close(ends[0]);
    return result;
}

int main(void) {
    static char strings[kMaxStrings];
    static char *words[kMaxWords + 2];  /* argv, null, environment, null */
    struct sigaction action = {.sa_handler = on_alarm};
    struct job job;
    sigaction(SIGALRM, &action, NULL);
    fcntl(0, F_SETFD, FD_CLOEXEC);
    fcntl(1, F_SETFD, FD_CLOEXEC);
    while (take(&job, sizeof job)) {
        if (job.size == 0 || job.size > sizeof strings || job.argc == 0 || job.argc > kMaxWords ||
            job.envc > kMaxWords - job.argc || !take(strings, job.size) || strings[job.size - 1] != 0)
            return 2;
        char *at = strings + strlen(strings) + 1, **to = words;
        for (uint32_t i = 0; i < job.argc + job.envc; i++) {
            if (at >= strings + job.size) return 2;
            if (i == job.argc) *to++ = NULL;
            *to++ = at;
            at += strlen(at) + 1;
        }
        if (job.envc == 0) *to++ = NULL;
        *to = NULL;
        struct result result = run(strings, words, words + job.argc + 1, job.read_stdout != 0);
        if (write(1, &result, sizeof result) != (ssize_t)sizeof result) return 2;
    }
    return 0;
}
