/* kernel.h: the one door between Python and the C++ kernel.
 *
 * Python decides, the kernel does. Every function here may be called without the GIL (cffi releases it) and from any
 * thread unless it says otherwise. A function that gives a pointer gives NULL on error, and cs_error() then tells why,
 * in one line, for the calling thread. No C++ exception passes this door.
 * The text between the markers is read by cffi: plain C, no preprocessor but simple #defines.
 */
#ifndef CURSERVE_KERNEL_H
#define CURSERVE_KERNEL_H
#include <stddef.h>
#include <stdint.h>

#include "spec.h"
#ifdef __cplusplus
extern "C" {
#endif

/* cffi:begin */
typedef struct cs_store cs_store;       /* all text, each content once */
typedef struct cs_watch cs_watch;       /* the process's inotify instance */
typedef struct cs_tree cs_tree;         /* one workspace */
typedef struct cs_filter cs_filter;     /* which files: ignore rules, globs, types */
typedef struct cs_matcher cs_matcher;   /* which lines */
typedef struct cs_global cs_global;     /* git's global excludes for one HOME */
typedef struct cs_query cs_query;       /* one question: which files, which lines, printed how */
typedef struct cs_desk cs_desk;         /* where clients come in */

typedef struct cs_bytes {               /* borrowed for the call, not NUL-terminated */
    const char *data;
    size_t size;
} cs_bytes;

const char *cs_error(void);
/* What this process may see, as it is compared with a peer's; cut at size, NUL-terminated. */
void cs_own_sight(char *out, size_t size);
/* From now on a crash's time, signal and the searches under way are written to fd, which stays open. Before Python's
 * faulthandler is enabled, which then writes the stacks first. 0, or an errno. */
int cs_report_crashes(int fd, const char *version);

/* ---- clients ------------------------------------------------------------------------------------------------ */

typedef struct cs_client {
    int fd;
    int32_t pid, parent;                /* of the peer; its parent is 0 when it is not known */
    uint64_t received_ns;               /* CLOCK_MONOTONIC when the request's last byte was here */
    unsigned char *payload;             /* a struct cs_wire_request and its strings, checked; freed by cs_client_close */
    size_t payload_size;
} cs_client;

void cs_client_close(cs_client *client);

/* ---- workspaces --------------------------------------------------------------------------------------------- */

cs_store *cs_store_new(void);
void cs_store_free(cs_store *store);
void cs_store_numbers(const cs_store *store, uint64_t *bytes, uint64_t *contents);
typedef struct cs_index_numbers {
    uint64_t segments, contents, text_bytes, index_bytes;
} cs_index_numbers;
void cs_store_index_numbers(const cs_store *store, cs_index_numbers *out);
/* From now on what is held can be kept in a folder, which is this user's alone, and what was kept there is taken up by
 * trees opened later. To be called before the first of them. most_bytes: of all files there. settled_s: how long after a
 * file's last change it must have been read for its stat to vouch for it (archive.h). 0, or -1 and cs_error(). */
int cs_store_archive(cs_store *store, const char *folder, uint64_t most_bytes, double settled_s);
void cs_store_tidy(cs_store *store);                 /* throws out of it what is not needed; blocks */
void cs_store_archive_cancel(cs_store *store);       /* no cs_tree_save goes on or begins */
typedef struct cs_archive_numbers {
    uint64_t trees, contents, bytes;
} cs_archive_numbers;
void cs_store_archive_numbers(const cs_store *store, cs_archive_numbers *out);
/* Lines for the log since the last call, NUL-terminated, cut at size. */
void cs_store_words(const cs_store *store, char *out, size_t size);
cs_watch *cs_watch_new(void);
void cs_watch_free(cs_watch *watch);

/* root: absolute and resolved. */
cs_tree *cs_tree_open(cs_store *store, cs_watch *watch, const char *root);
int cs_tree_load(cs_tree *tree, unsigned threads);   /* blocks; 0 or an errno */
/* Indexes what the tree holds and the store's index does not, except what was changed within the last settled_s seconds
 * and, unless it comes to least_bytes in all, nothing. Blocks; searches go on meanwhile. 0, or an errno (EBUSY: another
 * call is at work and `wait` is 0; EAGAIN: the tree is not live). */
int cs_tree_index(cs_tree *tree, unsigned threads, double settled_s, uint64_t least_bytes, int wait);
void cs_tree_rest(cs_tree *tree);                    /* a tree that nothing happens to holds less from now on */
void cs_tree_use_large_pages(cs_tree *tree);         /* under what was loaded: large_pages.h. Blocks */
/* What loads and indexes waits while the process's resident memory exceeds this (0: never). */
void cs_room_limit(uint64_t most_bytes);
uint32_t cs_room_waiting(void);                      /* threads that wait now */
/* The state (as below) and requests so far, at once. */
int32_t cs_tree_pulse(const cs_tree *tree, uint64_t *requests);
/* Keeps the tree, its texts and their index on disk. Blocks; idle: with the lowest priorities. 0, or an errno (EAGAIN:
 * the tree is not live). Nothing where there is no archive. */
int cs_tree_save(cs_tree *tree, int idle);
void cs_tree_cancel_save(cs_tree *tree);             /* makes a running one return soon, and later ones at once */
void cs_tree_cancel(cs_tree *tree);                  /* makes a running load or cs_tree_index return soon */
void cs_tree_resume(cs_tree *tree);                  /* after a cancel that has taken effect */
typedef struct cs_holding {             /* see holdings.h */
    uint64_t index_bytes, own_bytes, share_bytes, table_bytes;
} cs_holding;
/* What each of the trees holds, of all of them. 0 or an errno. */
int cs_trees_holdings(cs_tree *const *trees, size_t count, cs_holding *out);
void cs_tree_drop_caches(cs_tree *tree);             /* what can be computed again */
/* Gives up the index of what this tree holds and the others do not; bytes. */
uint64_t cs_tree_drop_index(cs_tree *tree, cs_tree *const *others, size_t count);
void cs_tree_sweep(cs_tree *tree);                   /* compares everything by stat; blocks */
void cs_tree_free(cs_tree *tree);                    /* searches that run now finish undisturbed */

typedef struct cs_tree_numbers {
    int32_t state;                      /* 0 loading, 1 live, 2 stale, 3 poisoned, 4 gone */
    int32_t pad;
    uint64_t requests, served, generation, entries, files, files_held, text_bytes, watches, dirty, unsettled, overflows, reads;
    uint64_t known;                     /* files of the load that were not read: git's index vouched for their content */
    uint64_t loaded_directories, loaded_files, loaded_bytes;   /* of the load that runs or ran */
} cs_tree_numbers;
/* why: receives one line, NUL-terminated, when the state is not live. */
void cs_tree_numbers_get(const cs_tree *tree, cs_tree_numbers *out, char *why, size_t why_size);

/* ---- what to search for ------------------------------------------------------------------------------------- */

typedef struct cs_matcher_spec {        /* see matcher.h; lists are arrays of cs_bytes */
    cs_bytes program;
    uint32_t capture_slots;
    uint8_t line_terminator, multi_line, re2_spans, literals_fold_ascii, required_fold_ascii, told_terminator, pad[2];
    cs_bytes re2_ascii, re2_bytes;
    const cs_bytes *literals;
    size_t literals_count;
    const cs_bytes *required;
    size_t required_count;
    cs_bytes grams;                     /* what a matching line contains, packed (gram_query.cpp); empty: unknown */
} cs_matcher_spec;
cs_matcher *cs_matcher_new(const cs_matcher_spec *spec);
void cs_matcher_free(cs_matcher *matcher);
const char *cs_matcher_engine(const cs_matcher *matcher);

typedef struct cs_word_rules {          /* what a plain word means (plain_word.h) */
    uint8_t letters;                    /* 0 as typed, 1 case ignored, 2 smart case */
    uint8_t bounded;                    /* -w */
    uint8_t unicode;
    uint8_t null_data;
    uint8_t multi_line;                 /* -U */
} cs_word_rules;
/* Whether `text` is a plain word, and `matcher` what the kernel itself makes of it under these rules. */
int cs_word_agrees(const cs_matcher *matcher, cs_bytes text, const cs_word_rules *rules);

/* CS_ENCODING_* of an encoding's name, which is "auto", "none" or the Encoding Standard's; -1: it cannot be decoded. */
int cs_encoding_named(const char *name);

/* The values of HOME, XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL and GIT_CONFIG_SYSTEM. NULL: not set. */
cs_global *cs_global_new(const char *home, const char *xdg_config_home, const char *git_config_global,
                         const char *git_config_system);
void cs_global_free(cs_global *global);

typedef struct cs_glob {
    cs_bytes text;
    int32_t case_insensitive;
    int32_t pad;
} cs_glob;
typedef struct cs_type_selection {
    const cs_bytes *globs;
    size_t count;
    int32_t negated;
    int32_t pad;
} cs_type_selection;
typedef struct cs_filter_spec {
    uint8_t hidden, dot, vcs, exclude, global, parent, files, require_git, fold_case, ignore_messages, follow, pad[5];
    const cs_glob *globs;
    size_t globs_count;
    const cs_type_selection *types;
    size_t types_count;
    const cs_bytes *ignore_files;       /* the bytes of each, in order */
    size_t ignore_files_count;
    cs_bytes cwd;
    int64_t max_depth, max_filesize;    /* -1: none */
    cs_global *git_global;              /* may be NULL; shared with the filter */
} cs_filter_spec;
cs_filter *cs_filter_new(const cs_filter_spec *spec);
void cs_filter_free(cs_filter *filter);

/* ---- a search ----------------------------------------------------------------------------------------------- */

#define CS_SORT_PATH 0
#define CS_SORT_MODIFIED 1
#define CS_SORT_CREATED 2

typedef struct cs_query_spec {
    const cs_matcher *matcher;          /* NULL: list files (--files) */
    const cs_filter *filter;
    const cs_search_spec *spec;
    const cs_bytes *paths;              /* as typed; none: the cwd, implicitly */
    size_t paths_count;
    int32_t sort;                       /* CS_SORT_* */
    uint8_t sorted, reverse;            /* sorted: one of the --sort flags is in force */
    int32_t with_filename_auto;         /* print file names unless exactly one path is given and it is a file */
    int32_t mmap_auto;                  /* spec.mmap: at most ten paths are given and all are files */
    int32_t brute;                      /* the index is not asked */
    int32_t one_file_system;
    int32_t messages;                   /* errors are told on stderr (not so with --no-messages) */
    uint32_t threads;                   /* at most this many for one search */
    uint32_t pad;
} cs_query_spec;
/* Owns copies of everything. */
cs_query *cs_query_new(const cs_query_spec *spec);
void cs_query_free(cs_query *query);

typedef struct cs_outcome {
    int32_t served;                     /* 1: EXIT was sent (or the client went away in the middle) */
    int32_t exit_code;
    int32_t client_gone;
    uint32_t barrier_us, search_us, total_us;
    uint64_t generation;
    uint64_t files, bytes_scanned, bytes_out;
    char reason[64];                    /* why it was not served, nothing was sent then */
} cs_outcome;

/* ---- the desk ----------------------------------------------------------------------------------------------- */

cs_desk *cs_desk_new(int listen_fd);
void cs_desk_free(cs_desk *desk);       /* only when no call of it is under way */

/* Serves clients with known questions until one comes that needs a decision (1: *out is filled, to be closed with
 * cs_client_close). 0: timeout_ms went by. -1: the listener is gone. A client has one second to send its request; one
 * of another protocol version, or of a peer that may see other files than we do, is declined here. */
int cs_desk_next(cs_desk *desk, int timeout_ms, int trust_sandbox, cs_client *out);
/* The same for clients that were slow to ask and searches that had to wait; for a few threads of their own. */
int cs_desk_next_waiting(cs_desk *desk, int timeout_ms, int trust_sandbox, cs_client *out);
/* Takes the barrier, selects, searches, prints, and sends the answer, or the decline. A search that must wait for its
 * turn takes the client with it: client->fd is -1 then, and out->served 0 with an empty reason. */
void cs_desk_answer(cs_desk *desk, cs_tree *tree, const cs_query *query, cs_client *client, uint32_t plan_us,
                    cs_outcome *out);
/* From now on requests like this client's are answered so, without Python. */
void cs_desk_remember(cs_desk *desk, const cs_client *client, const cs_query *query, cs_tree *tree);
void cs_desk_close(cs_desk *desk);      /* takes no more clients, though the listener goes on */
/* ... and requests that differ from it only in argument `slot` (of argv, argv[0] left out), which is the pattern, as long
 * as they have a plain word there and cs_word_agrees with this client's. */
void cs_desk_remember_shape(cs_desk *desk, const cs_client *client, const cs_query *query, cs_tree *tree,
                            uint32_t slot, const cs_word_rules *rules);
void cs_desk_forget(cs_desk *desk);     /* all of them: the workspaces changed */
void cs_desk_decline(cs_desk *desk, cs_client *client, const char *reason);
/* Sends bytes for stdout and an exit code: answers that need no search (--version, --type-list). */
void cs_desk_say(cs_desk *desk, cs_client *client, cs_bytes out, int exit_code, uint32_t plan_us);

typedef struct cs_limits {              /* [0] of an agent's session, [1] of a workspace, [2] of a user; 0: none */
    uint32_t concurrency[3];
    uint32_t waiting;                   /* searches of one session that may wait */
    double per_second[3];
    uint32_t wait_ms;                   /* then they are declined */
    uint32_t pad;
    uint64_t deadline_ms;               /* of one request, from its arrival to its answer's last byte */
} cs_limits;
void cs_desk_limit(cs_desk *desk, const cs_limits *limits);
typedef struct cs_queue_numbers {       /* silent, waiting, heavy, stalled: now; the others since the beginning */
    uint64_t silent, waiting, waited, expired, overflowed, heavy, stalled;
} cs_queue_numbers;
void cs_desk_queue_numbers_get(const cs_desk *desk, cs_queue_numbers *out);

#define CS_STAGES 4                     /* plan, barrier, search, total */
#define CS_BUCKETS 28                   /* bucket b counts times below 2^b us; the last one all others */
typedef struct cs_desk_numbers {
    uint64_t served, declined, remembered, bytes_out, clients_gone;
    uint64_t files, candidates, candidate_bytes;   /* chosen; of these, those that could not be left out, and their text */
    uint64_t repeated, answers_bytes;              /* answered as before without a search; what is kept for that now */
    uint64_t us[4][28], us_sum[4];
} cs_desk_numbers;
void cs_desk_numbers_get(const cs_desk *desk, cs_desk_numbers *out);
/* Writes "reason count\n" lines, cut at size; gives the size all of it needs. */
size_t cs_desk_reasons(const cs_desk *desk, char *out, size_t size);

/* Who asks what (census.h) is gathered for so many seconds from now on. */
void cs_desk_look(cs_desk *desk, uint32_t seconds);
/* What was gathered: the records of Census::report(), cut at size; gives the size all of it needs. */
size_t cs_desk_census(const cs_desk *desk, char *out, size_t size);
/* A served request, one of those since the last call with equal chance: its payload and its workspace's root (ended by a
 * NUL). Gives the payload's size; 0: there was none, or it did not fit. */
size_t cs_desk_sample(cs_desk *desk, char *payload, size_t payload_size, char *root, size_t root_size);
/* cffi:end */

#ifdef __cplusplus
}
#endif
#endif
