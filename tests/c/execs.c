/* execs.c: makes one call of the exec family, as its arguments say.
 *
 * In: execs [-v] [-e NAME=VALUE]... CALL PROGRAM [ARGV0 [ARG]...]
 *     CALL is a name of the family, or execveat-fd (an empty path and a descriptor), execveat-dir (a directory's
 *     descriptor and a name), posix_spawn-chdir (file actions that change the directory to "/" first). With -e, calls
 *     that take an environment get just these variables; else the process's own. -v: between vfork and exec.
 * Out: what the program prints, and its exit code; 100 + errno (at most 255) when the call fails.
 *
 * Build:
 * cc -std=gnu17 -O1 -g -Wall -Wextra -Wconversion -Werror -Wno-clobbered -o execs tests/c/execs.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int wait_code(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int spawned(int error, pid_t child) {
    if (error) {
        errno = error;
        return -1;
    }
    _exit(wait_code(child));
}

static int call(const char *name, char *program, char **argv, char **env) {
    char copy[4096];
    pid_t child = 0;
    const char *a = argv[0], *b = a ? argv[1] : NULL, *c = b ? argv[2] : NULL;
    if (!strcmp(name, "execve")) return execve(program, argv, env);
    if (!strcmp(name, "execv")) return execv(program, argv);
    if (!strcmp(name, "execvp")) return execvp(program, argv);
    if (!strcmp(name, "execvpe")) return execvpe(program, argv, env);
    if (!strcmp(name, "execl")) return execl(program, a, b, c, NULL);
    if (!strcmp(name, "execlp")) return execlp(program, a, b, c, NULL);
    if (!strcmp(name, "execle")) {
        if (c) return execle(program, a, b, c, NULL, env);
        if (b) return execle(program, a, b, NULL, env);
        return execle(program, a, NULL, env);
    }
    if (!strcmp(name, "fexecve")) return fexecve(open(program, O_RDONLY | O_CLOEXEC), argv, env);
    if (!strcmp(name, "execveat")) return execveat(AT_FDCWD, program, argv, env, 0);
    if (!strcmp(name, "execveat-fd")) return execveat(open(program, O_PATH | O_CLOEXEC), "", argv, env, AT_EMPTY_PATH);
    if (!strcmp(name, "execveat-dir")) {
        strncpy(copy, program, sizeof copy - 1);
        int dir = open(dirname(copy), O_PATH | O_CLOEXEC);
        return execveat(dir, basename(program), argv, env, 0);
    }
    if (!strcmp(name, "posix_spawn")) return spawned(posix_spawn(&child, program, NULL, NULL, argv, env), child);
    if (!strcmp(name, "posix_spawnp")) return spawned(posix_spawnp(&child, program, NULL, NULL, argv, env), child);
    if (!strcmp(name, "posix_spawn-chdir")) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addchdir_np(&actions, "/");
        return spawned(posix_spawn(&child, program, &actions, NULL, argv, env), child);
    }
    errno = EINVAL;
    return -1;
}

int main(int argc, char **argv) {
    char *given[64] = {NULL};
    size_t count = 0;
    int option, with_vfork = 0, with_env = 0;
    while ((option = getopt(argc, argv, "+ve:E")) != -1) {
        if (option == 'v') with_vfork = 1;
        else with_env = 1;
        if (option == 'e' && count < 63) given[count++] = optarg;
    }
    if (argc - optind < 2) return 99;
    char **rest = argv + optind;
    if (with_vfork) {
        pid_t child = vfork();
        if (child > 0) return wait_code(child);
    }
    call(rest[0], rest[1], rest + 2, with_env ? given : environ);
    _exit(errno > 155 ? 255 : 100 + errno);
}
