/* refuse.c: runs a program that may not connect to anything, as in the sandboxes of agents.
 *
 * In: refuse PROGRAM [ARG]... Out: what the program does; connect() fails with EPERM in it and its children. Exit code
 * 99 where the kernel has no seccomp filters for us.
 *
 * Build:
 * cc -std=gnu17 -O1 -g -Wall -Wextra -Wconversion -Werror -o refuse tests/c/refuse.c
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_connect, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
    if (argc < 2) return 98;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 99;
    execv(argv[1], argv + 1);
    return 97;
}
