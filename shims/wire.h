/* wire.h: the one contract between a client (the shim `rg`, the Node hook) and the daemon.
 *
 * A client connects, sends one REQUEST frame, and reads reply frames until EXIT or DECLINE. Everything is in the
 * machine's byte order: both ends are on one machine. Lengths are checked against CS_WIRE_MAX_* before they are
 * trusted. The text between the two markers is read by cffi too, so C and Python cannot drift.
 *
 * Promise across versions: the head (magic, version, type, size) and the DECLINE frame keep their layout for ever;
 * a daemon that meets another version answers DECLINE "version", a client that meets one runs the real rg.
 */
#ifndef CURSERVE_WIRE_H
#define CURSERVE_WIRE_H
#include <stdint.h>

#define CS_REFUSED_SUFFIX ".refused"   /* the socket's path with this: a FIFO, see refused() in rg.c and refusals.py */

/* cffi:begin */
#define CS_WIRE_MAGIC 0x56535243       /* "CRSV" in little-endian order */
#define CS_WIRE_VERSION 1
#define CS_WIRE_MAX_REQUEST 1048576    /* bytes of a request's payload */
#define CS_WIRE_MAX_REPLY 1048576      /* bytes of one reply frame's payload */
#define CS_WIRE_MAX_REASON 255         /* bytes of a decline's reason */

/* Frame types. The payload of STDOUT and STDERR is bytes for that descriptor, of DECLINE a reason word (no NUL). */
#define CS_WIRE_REQUEST 1
#define CS_WIRE_STDOUT 2
#define CS_WIRE_STDERR 3
#define CS_WIRE_EXIT 4
#define CS_WIRE_DECLINE 5
#define CS_WIRE_FILE 7                 /* a uint64_t: so many bytes of the reply come next, from the start of the file whose
                                        * descriptor comes with this frame; whole STDOUT, STDERR and PIPE frames. The
                                        * file is a memfd, sealed against change. Only for those who asked for it */
#define CS_WIRE_PIPE 6                 /* optional: a uint32_t, the exit code if stdout's reader is gone from here on.
                                        * Without it 0, or 2 after bytes for stderr, as rg with threads does; rg with
                                        * one thread (one file, --sort, -j1) exits 1 until a file with a match ends */

/* What a descriptor is (struct cs_wire_fd.kind). */
#define CS_FD_CLOSED 0
#define CS_FD_TTY 1
#define CS_FD_FILE 2
#define CS_FD_FIFO 3
#define CS_FD_SOCKET 4
#define CS_FD_CHAR 5                   /* a character device that is no terminal: /dev/null and kin */
#define CS_FD_OTHER 6

/* A request's flag: what is large may come in a file, and none of it before all of it is there (up to some MiB). */
#define CS_ASKS_FILE 1

/* Before every frame. size: payload bytes that follow. */
struct cs_wire_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t size;
};

struct cs_wire_fd {
    uint32_t kind;
    uint32_t pad;
    uint64_t dev;                      /* 0 unless kind is CS_FD_FILE */
    uint64_t ino;
};

/* A REQUEST's payload begins with this; then strings_size bytes: the cwd, argc arguments (argv[0] left out), envc
 * NAME=VALUE strings, each ended by a NUL, in this order and with nothing after the last. */
struct cs_wire_request {
    uint32_t argc;
    uint32_t envc;
    uint64_t cwd_dev;                  /* identity of the client's cwd: stat device, inode, mount id of statx */
    uint64_t cwd_ino;
    uint64_t cwd_mnt;
    uint64_t root_dev;                 /* and of the client's "/", so that a chroot shows */
    uint64_t root_ino;
    struct cs_wire_fd fd[3];
    uint32_t strings_size;
    uint32_t flags;                    /* CS_ASKS_FILE or 0 */
};

/* An EXIT's payload. The times are the daemon's, for CURSERVE_TRACE. */
struct cs_wire_exit {
    uint32_t code;
    uint32_t plan_us;                  /* argv to plan (0 when the plan was cached) */
    uint32_t barrier_us;
    uint32_t search_us;
    uint32_t total_us;                 /* from frame read to EXIT written */
    uint32_t pad;
};
/* cffi:end */

/* Environment variables a client sends when they are set: all that ripgrep 15.2.0 looks at. */
#define CS_WIRE_ENV                                                                                                   \
    { "RIPGREP_CONFIG_PATH", "HOME", "XDG_CONFIG_HOME", "NO_COLOR", "TERM", "COLUMNS",                       \
      "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM" }

#endif
