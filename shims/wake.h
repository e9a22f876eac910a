/* wake.h: starting the daemon again, for the searches to come: this one goes to the real rg.
 *
 * In: the path of the start file, a shell script that a daemon in the background leaves beside its socket and that
 * `curserve stop` removes (ondemand.py). Out: nothing; the script runs as nobody's child, in a session of its own, with no
 * descriptor and no variable of ours. Invariant: at most one start in kCooldownS, by the file's own time, which whoever
 * begins a start sets; a race makes two starts, of which the lock lets one be the daemon.
 * Without the file it costs one statx; a start costs two forks of a process of a few pages.
 */
#ifndef CURSERVE_WAKE_H
#define CURSERVE_WAKE_H
#include "sys.h"

enum { kCooldownS = 30 };

static void wake(const char *path, uint32_t uid) {
    struct statx stat;
    if (sys_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MODE | STATX_UID | STATX_MTIME, &stat) < 0) return;
    if (stat.stx_mode != (0100000 | 0700) || stat.stx_uid != uid) return;
    /* A time in the future is a clock that was set back: no reason to wait for it. */
    int64_t age_s = sys_time_s() - stat.stx_mtime.tv_sec;
    if ((age_s >= 0 && age_s < kCooldownS) || sys_touch(path) < 0) return;
    long child = sys_fork();
    if (child > 0) sys_wait(child);
    if (child != 0) return;
    sys_setsid();
    if (sys_fork() != 0) sys_exit(0);
    /* Whoever waits for the end of a pipe of ours must not wait for the daemon's. */
    long null = sys_openat("/dev/null", O_RDWR, 0);
    for (int fd = 0; fd < 3; fd++) {
        if (null < 0) sys_close(fd);
        else if (null != fd) sys_dup3((int)null, fd);
    }
    if (sys_close_from(3) < 0)          /* before Linux 5.9 */
        for (int fd = 3; fd < 1024; fd++) sys_close(fd);
    char *argv[] = {"sh", (char *)path, NULL}, *envp[] = {NULL};
    sys_execve("/bin/sh", argv, envp);
    sys_exit(127);
}

#endif
