// api.cpp: the C functions of kernel.h over the C++ parts. No decisions here: unpack, call, pack; exceptions end here.
#include "kernel.h"

#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <memory>
#include <string>
#include <unistd.h>

#include "archive.h"
#include "crash.h"
#include "decode.h"
#include "desk.h"
#include "execute.h"
#include "holdings.h"
#include "large_pages.h"
#include "peer.h"
#include "plain_word.h"
#include "reply.h"
#include "room.h"
#include "watch.h"

struct cs_store {
    std::shared_ptr<curserve::Store> store;
    std::shared_ptr<curserve::GramIndex> index;  // of all contents, whichever trees hold them
    std::shared_ptr<curserve::Archive> archive;  // null: nothing outlives the process
};
struct cs_watch {
    std::shared_ptr<curserve::Watch> watch;
};
struct cs_tree {
    std::shared_ptr<curserve::Site> site;
    std::shared_ptr<curserve::Tree> tree;  // the site's
    std::shared_ptr<curserve::GramIndex> index;
    std::shared_ptr<curserve::Archive> archive;  // may be null
    curserve::Progress progress;
    std::atomic<bool> save_cancelled{false};
};
struct cs_filter {
    std::shared_ptr<curserve::Filter> filter;
};
struct cs_query {
    std::shared_ptr<const curserve::Query> query;
};
struct cs_desk {
    std::unique_ptr<curserve::Desk> desk;
};
struct cs_matcher {
    std::shared_ptr<const curserve::Matcher> matcher;
    std::shared_ptr<const curserve::GramQuery> grams;
};
struct cs_global {
    std::shared_ptr<curserve::GlobalRules> global;
};

namespace {

using namespace curserve;

thread_local std::string last_error;

// Runs `make`; a thrown exception becomes nullptr and cs_error().
template <typename Make>
auto guarded(Make make) noexcept -> decltype(make()) {
    try {
        return make();
    } catch (const std::exception& error) {
        try {
            last_error = error.what();
        } catch (...) {
            // The message itself does not fit in memory; an empty one says as much.
        }
        return nullptr;
    }
}

std::string text(const cs_bytes& bytes) { return bytes.size == 0 ? std::string() : std::string(bytes.data, bytes.size); }

std::vector<std::string> texts(const cs_bytes* list, size_t count) {
    std::vector<std::string> out;
    out.reserve(count);
    for (size_t i = 0; i < count; ++i) out.push_back(text(list[i]));
    return out;
}

Peer peer_of(const cs_client& client) {
    Peer peer;
    peer.fd = client.fd;
    peer.pid = client.pid;
    peer.parent = client.parent;
    peer.received_ns = client.received_ns;
    peer.payload = client.payload;
    peer.payload_size = client.payload_size;
    return peer;
}

void copy_text(char* to, size_t size, const std::string& from) {
    if (size == 0) return;
    const size_t n = from.size() < size - 1 ? from.size() : size - 1;
    std::memcpy(to, from.data(), n);
    to[n] = '\0';
}

}  // namespace

extern "C" {

const char* cs_error(void) { return last_error.c_str(); }

// ---- clients

void cs_client_close(cs_client* client) {
    if (client->fd >= 0) ::close(client->fd);
    std::free(client->payload);
    client->fd = -1;
    client->payload = nullptr;
}

// ---- workspaces

cs_store* cs_store_new(void) {
    // Loading and indexing run on threads that come and go. With an arena each, what one frees no other one reuses:
    // a further worktree of Django took 7 MB so, and 5 with few arenas.
    ::mallopt(M_ARENA_MAX, 2);
    return guarded([] { return new cs_store{std::make_shared<Store>(), std::make_shared<GramIndex>(), nullptr}; });
}
void cs_store_free(cs_store* store) { delete store; }
void cs_store_numbers(const cs_store* store, uint64_t* bytes, uint64_t* contents) {
    *bytes = store->store->bytes();
    *contents = store->store->contents();
}

void cs_store_index_numbers(const cs_store* store, cs_index_numbers* out) {
    const GramIndex::Numbers n = store->index->numbers();
    *out = cs_index_numbers{n.segments, n.contents, n.text_bytes, n.index_bytes};
}

int cs_store_archive(cs_store* store, const char* folder, uint64_t most_bytes, double settled_s) {
    try {
        const Archive::Options options{most_bytes, static_cast<int64_t>(settled_s * 1e9)};
        store->archive = Archive::open(store->store, folder, options, &last_error);
        return store->archive != nullptr ? 0 : -1;
    } catch (const std::exception&) {
        last_error.clear();
        return -1;
    }
}
void cs_store_tidy(cs_store* store) {
    if (store->archive == nullptr) return;
    store->archive->tidy();
    ::malloc_trim(0);  // what a save, or the start, needed for the moment
}
void cs_store_archive_cancel(cs_store* store) {
    if (store->archive != nullptr) store->archive->cancel();
}
void cs_store_archive_numbers(const cs_store* store, cs_archive_numbers* out) {
    std::memset(out, 0, sizeof *out);
    if (store->archive == nullptr) return;
    try {
        const Archive::Numbers n = store->archive->numbers();
        *out = cs_archive_numbers{n.trees, n.contents, n.bytes};
    } catch (const std::exception&) {
        // They stay zero.
    }
}
void cs_store_words(const cs_store* store, char* out, size_t size) {
    try {
        copy_text(out, size, store->archive != nullptr ? store->archive->take_words() : std::string());
    } catch (const std::exception&) {
        copy_text(out, size, std::string());
    }
}

cs_watch* cs_watch_new(void) {
    return guarded([] { return new cs_watch{Watch::open()}; });
}
void cs_watch_free(cs_watch* watch) { delete watch; }

cs_tree* cs_tree_open(cs_store* store, cs_watch* watch, const char* root) {
    return guarded([&] {
        auto tree = std::make_unique<cs_tree>();
        tree->tree = Tree::open(store->store, watch->watch, root, store->archive);
        tree->index = store->index;
        tree->archive = store->archive;
        tree->site = std::make_shared<Site>();
        tree->site->tree = tree->tree;
        tree->site->index = store->index;
        return tree.release();
    });
}
int cs_tree_load(cs_tree* tree, unsigned threads) {
    try {
        const int error = tree->tree->load(threads, tree->progress);
        if (error == 0 && tree->archive != nullptr) tree->archive->restore_index(*tree->index);
        return error;
    } catch (const std::exception&) {
        return ENOMEM;
    }
}
int cs_tree_index(cs_tree* tree, unsigned threads, double settled_s, uint64_t least_bytes, int wait) {
    try {
        const char* reason = nullptr;
        const ViewRef view = tree->tree->barrier(&reason);
        if (view == nullptr) return EAGAIN;
        struct timespec now;
        ::clock_gettime(CLOCK_REALTIME, &now);
        const int64_t before_ns = static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec -
                                  static_cast<int64_t>(settled_s * 1e9);
        if (tree->archive != nullptr) tree->archive->restore_index(*tree->index);
        const GramIndex::Updating updating{before_ns, least_bytes, threads, wait != 0};
        return tree->index->update(view, updating, tree->progress.cancel) ? 0 : EBUSY;
    } catch (const std::exception&) {
        return ENOMEM;
    }
}
// Without memory for either, all goes on as it is.
void cs_tree_rest(cs_tree* tree) {
    try {
        tree->tree->rest();
    } catch (const std::exception&) {
    }
}
void cs_tree_use_large_pages(cs_tree* tree) {
    try {
        use_large_pages(tree->progress.cancel);
    } catch (const std::exception&) {
    }
}
void cs_own_sight(char* out, size_t size) {
    std::string sight;
    try {
        sight = own_sight();
    } catch (const std::exception&) {
        // Unknown.
    }
    std::snprintf(out, size, "%s", sight.c_str());
}
int cs_report_crashes(int fd, const char* version) { return report_crashes(fd, version); }
void cs_room_limit(uint64_t most_bytes) { Room::instance().limit(most_bytes); }
uint32_t cs_room_waiting(void) { return Room::instance().waiting(); }
int32_t cs_tree_pulse(const cs_tree* tree, uint64_t* requests) {
    *requests = tree->site->requests.load(std::memory_order_relaxed);
    return static_cast<int32_t>(tree->tree->state());
}
int cs_tree_save(cs_tree* tree, int idle) {
    if (tree->archive == nullptr) return 0;
    try {
        const char* reason = nullptr;
        const ViewRef view = tree->tree->barrier(&reason);
        if (view == nullptr) return EAGAIN;
        return tree->archive->save(tree->tree->root(), *view, *tree->index, idle != 0, tree->save_cancelled);
    } catch (const std::exception&) {
        return ENOMEM;
    }
}
void cs_tree_cancel_save(cs_tree* tree) { tree->save_cancelled = true; }
void cs_tree_cancel(cs_tree* tree) { tree->progress.cancel = true; }
void cs_tree_resume(cs_tree* tree) { tree->progress.cancel = false; }
int cs_trees_holdings(cs_tree* const* trees, size_t count, cs_holding* out) {
    try {
        std::vector<ViewRef> views;
        for (size_t i = 0; i < count; ++i) views.push_back(trees[i]->tree->latest());
        if (count == 0) return 0;
        const std::vector<Holding> found = holdings(views, *trees[0]->index->snapshot());
        for (size_t i = 0; i < count; ++i)
            out[i] = cs_holding{found[i].index_bytes, found[i].own_bytes, found[i].share_bytes, found[i].table_bytes};
        return 0;
    } catch (const std::exception&) {
        return ENOMEM;
    }
}
void cs_tree_drop_caches(cs_tree* tree) {
    if (const ViewRef view = tree->tree->latest()) drop_caches(*view);
}
uint64_t cs_tree_drop_index(cs_tree* tree, cs_tree* const* others, size_t count) {
    try {
        const ViewRef view = tree->tree->latest();
        if (view == nullptr) return 0;
        std::vector<ViewRef> views;
        for (size_t i = 0; i < count; ++i) views.push_back(others[i]->tree->latest());
        return tree->index->drop(*view, views);
    } catch (const std::exception&) {
        return 0;
    }
}
void cs_tree_sweep(cs_tree* tree) {
    try {
        tree->tree->sweep();
    } catch (const std::exception&) {
        // The next sweep tries again.
    }
}
void cs_tree_free(cs_tree* tree) {
    if (tree == nullptr) return;
    tree->tree->close();
    delete tree;
}
void cs_tree_numbers_get(const cs_tree* tree, cs_tree_numbers* out, char* why, size_t why_size) {
    try {
        const Tree::Numbers n = tree->tree->numbers();
        *out = cs_tree_numbers{static_cast<int32_t>(tree->tree->state()),
                               0,
                               tree->site->requests.load(),
                               tree->site->served.load(),
                               n.generation,
                               n.entries,
                               n.files,
                               n.files_held,
                               n.text_bytes,
                               n.watches,
                               n.dirty,
                               n.unsettled,
                               n.overflows,
                               n.reads,
                               n.known,
                               tree->progress.directories.load(),
                               tree->progress.files.load(),
                               tree->progress.bytes.load()};
        copy_text(why, why_size, tree->tree->why());
    } catch (const std::exception&) {
        std::memset(out, 0, sizeof *out);
    }
}

// ---- what to search for

cs_matcher* cs_matcher_new(const cs_matcher_spec* spec) {
    return guarded([&] {
        MatcherSpec made;
        if (spec->program.size % sizeof(Inst) != 0 || spec->program.size == 0)
            throw std::runtime_error("a program is a whole number of instructions, at least one");
        made.program.resize(spec->program.size / sizeof(Inst));
        std::memcpy(made.program.data(), spec->program.data, spec->program.size);
        made.capture_slots = spec->capture_slots;
        made.line_terminator = spec->line_terminator;
        made.multi_line = spec->multi_line != 0;
        made.told_terminator = spec->told_terminator != 0;
        made.re2_spans = spec->re2_spans != 0;
        made.re2_ascii = text(spec->re2_ascii);
        made.re2_bytes = text(spec->re2_bytes);
        made.literals = texts(spec->literals, spec->literals_count);
        made.literals_fold_ascii = spec->literals_fold_ascii != 0;
        made.required = texts(spec->required, spec->required_count);
        made.required_fold_ascii = spec->required_fold_ascii != 0;
        const std::string grams = text(spec->grams);
        return new cs_matcher{Matcher::compile(std::move(made)),
                              std::make_shared<const GramQuery>(GramQuery::unpack(grams))};
    });
}
void cs_matcher_free(cs_matcher* matcher) { delete matcher; }
const char* cs_matcher_engine(const cs_matcher* matcher) { return matcher->matcher->engine(); }

namespace {
WordRules rules_of(const cs_word_rules& from) {
    WordRules rules;
    rules.letters = static_cast<WordRules::Case>(from.letters > 2 ? 0 : from.letters);
    rules.bounded = from.bounded != 0;
    rules.unicode = from.unicode != 0;
    rules.null_data = from.null_data != 0;
    rules.multi_line = from.multi_line != 0;
    return rules;
}
}  // namespace

int cs_encoding_named(const char* name) { return encoding_named(name); }

int cs_word_agrees(const cs_matcher* matcher, cs_bytes text, const cs_word_rules* rules) {
    try {
        const std::string_view word(text.data, text.size);
        return is_plain_word(word) && word_agrees(word, rules_of(*rules), matcher->matcher->spec(), *matcher->grams);
    } catch (const std::exception&) {
        return 0;
    }
}

cs_global* cs_global_new(const char* home, const char* xdg_config_home, const char* git_config_global,
                         const char* git_config_system) {
    return guarded([&] {
        return new cs_global{GlobalRules::open(home != nullptr ? home : "", home != nullptr,
                                               xdg_config_home != nullptr ? xdg_config_home : "",
                                               xdg_config_home != nullptr,
                                               git_config_global != nullptr ? git_config_global : "",
                                               git_config_system != nullptr ? git_config_system : "")};
    });
}
void cs_global_free(cs_global* global) { delete global; }

cs_filter* cs_filter_new(const cs_filter_spec* spec) {
    return guarded([&] {
        static std::atomic<uint64_t> next_id{1};
        auto made = std::make_unique<cs_filter>();
        made->filter = std::make_shared<Filter>();
        Filter& filter = *made->filter;
        filter.switches.hidden = spec->hidden != 0;
        filter.switches.dot = spec->dot != 0;
        filter.switches.vcs = spec->vcs != 0;
        filter.switches.exclude = spec->exclude != 0;
        filter.switches.global = spec->global != 0;
        filter.switches.parent = spec->parent != 0;
        filter.switches.files = spec->files != 0;
        filter.switches.require_git = spec->require_git != 0;
        filter.fold_case = spec->fold_case != 0;
        std::string error;
        if (spec->globs_count > 0) {
            std::vector<Overrides::Glob> globs;
            for (size_t i = 0; i < spec->globs_count; ++i)
                globs.push_back({text(spec->globs[i].text), spec->globs[i].case_insensitive != 0});
            filter.overrides = Overrides::parse(globs, &error);
            if (filter.overrides == nullptr) throw std::runtime_error(error);
        }
        if (spec->types_count > 0) {
            std::vector<TypeFilter::Selection> selections;
            for (size_t i = 0; i < spec->types_count; ++i)
                selections.push_back({spec->types[i].negated != 0, texts(spec->types[i].globs, spec->types[i].count)});
            filter.types = TypeFilter::parse(selections, &error);
            if (filter.types == nullptr) throw std::runtime_error(error);
        }
        for (size_t i = 0; i < spec->ignore_files_count; ++i)
            filter.ignore_files.push_back(IgnoreRules::parse(
                std::string_view(spec->ignore_files[i].data, spec->ignore_files[i].size), false, nullptr));
        filter.ignore_messages = spec->ignore_messages != 0;
        filter.follow = spec->follow != 0;
        filter.cwd = text(spec->cwd);
        filter.ignore_files_base = filter.cwd;
        filter.max_depth = spec->max_depth;
        filter.max_filesize = spec->max_filesize;
        if (spec->git_global != nullptr) filter.global = spec->git_global->global;
        filter.id = next_id.fetch_add(1);
        return made.release();
    });
}
void cs_filter_free(cs_filter* filter) { delete filter; }

// ---- a search

cs_query* cs_query_new(const cs_query_spec* spec) {
    return guarded([&] {
        auto query = std::make_shared<Query>();
        if (spec->matcher != nullptr) {
            query->matcher = spec->matcher->matcher;
            query->grams = spec->matcher->grams;
        }
        query->filter = spec->filter->filter;
        query->brute = spec->brute != 0;
        query->paths = texts(spec->paths, spec->paths_count);
        query->sort = static_cast<Sort>(spec->sort);
        query->sorted = spec->sorted != 0;
        query->reverse = spec->reverse != 0;
        query->with_filename_auto = spec->with_filename_auto != 0;
        query->mmap_auto = spec->mmap_auto != 0;
        query->messages = spec->messages != 0;
        query->one_file_system = spec->one_file_system != 0;
        query->threads = spec->threads > 0 ? spec->threads : 1;
        SearchSpec& search = query->spec;
        search = *spec->spec;
        query->kept.reserve(5);  // so that what points into it stays
        const auto keep = [&](const char*& data, size_t size) {
            query->kept.emplace_back(size == 0 ? "" : data, size);
            data = query->kept.back().data();
        };
        keep(search.replacement, search.replacement_size);
        keep(search.capture_names, search.capture_names_size);
        keep(search.context_separator, search.context_separator_size);
        keep(search.field_match_separator, search.field_match_separator_size);
        keep(search.field_context_separator, search.field_context_separator_size);
        return new cs_query{std::move(query)};
    });
}
void cs_query_free(cs_query* query) { delete query; }

// ---- the desk

cs_desk* cs_desk_new(int listen_fd) {
    return guarded([&] { return new cs_desk{std::make_unique<Desk>(listen_fd)}; });
}
void cs_desk_free(cs_desk* desk) { delete desk; }

int cs_desk_next(cs_desk* desk, int timeout_ms, int trust_sandbox, cs_client* out) {
    try {
        Peer peer;
        const int got = desk->desk->next(timeout_ms, trust_sandbox != 0, &peer);
        if (got == 1) *out = cs_client{peer.fd, peer.pid, peer.parent, peer.received_ns, peer.payload, peer.payload_size};
        return got;
    } catch (const std::exception&) {
        return 0;  // out of memory; the client sees its connection close
    }
}

int cs_desk_next_waiting(cs_desk* desk, int timeout_ms, int trust_sandbox, cs_client* out) {
    try {
        Peer peer;
        const int got = desk->desk->next_waiting(timeout_ms, trust_sandbox != 0, &peer);
        if (got == 1) *out = cs_client{peer.fd, peer.pid, peer.parent, peer.received_ns, peer.payload, peer.payload_size};
        return got;
    } catch (const std::exception&) {
        return 0;  // as above
    }
}

void cs_desk_limit(cs_desk* desk, const cs_limits* limits) {
    Limits made;
    for (size_t scope = 0; scope < Limits::kScopes; ++scope) {
        made.concurrency[scope] = limits->concurrency[scope];
        made.per_second[scope] = limits->per_second[scope];
    }
    made.waiting = limits->waiting;
    made.wait_ms = limits->wait_ms;
    made.deadline_ns = limits->deadline_ms * 1'000'000u;
    desk->desk->queue().set_limits(made);
}

void cs_desk_queue_numbers_get(const cs_desk* desk, cs_queue_numbers* out) {
    const FairQueue::Numbers n = desk->desk->queue().numbers();
    *out = cs_queue_numbers{n.silent, n.waiting, n.waited, n.expired, n.overflowed, n.heavy, Reply::stalled()};
}

void cs_desk_answer(cs_desk* desk, cs_tree* tree, const cs_query* query, cs_client* client, uint32_t plan_us,
                    cs_outcome* out) {
    std::memset(out, 0, sizeof *out);
    try {
        Peer peer = peer_of(*client);
        const Outcome got = desk->desk->answer(tree->site, query->query, peer, plan_us);
        if (peer.fd < 0) {  // it waits, and is somebody else's
            client->fd = -1;
            client->payload = nullptr;
        }
        out->served = got.served ? 1 : 0;
        out->exit_code = got.exit_code;
        out->client_gone = got.client_gone ? 1 : 0;
        out->barrier_us = got.barrier_us;
        out->search_us = got.search_us;
        out->total_us = got.total_us;
        out->generation = got.generation;
        out->files = got.files;
        out->bytes_scanned = got.bytes_scanned;
        out->bytes_out = got.bytes_out;
        copy_text(out->reason, sizeof out->reason, got.reason);
    } catch (const std::exception&) {
        copy_text(out->reason, sizeof out->reason, "no_memory");
        cs_desk_decline(desk, client, "no_memory");
    }
}

void cs_desk_remember(cs_desk* desk, const cs_client* client, const cs_query* query, cs_tree* tree) {
    try {
        desk->desk->remember(peer_of(*client), query->query, tree->site);
    } catch (const std::exception&) {
        // It is only not remembered.
    }
}
void cs_desk_close(cs_desk* desk) { desk->desk->close(); }
void cs_desk_remember_shape(cs_desk* desk, const cs_client* client, const cs_query* query, cs_tree* tree, uint32_t slot,
                            const cs_word_rules* rules) {
    try {
        desk->desk->remember_shape(peer_of(*client), query->query, tree->site, slot, rules_of(*rules));
    } catch (const std::exception&) {
        // As above.
    }
}
void cs_desk_forget(cs_desk* desk) { desk->desk->forget(); }

void cs_desk_decline(cs_desk* desk, cs_client* client, const char* reason) {
    try {
        desk->desk->decline(peer_of(*client), reason);
    } catch (const std::exception&) {
        // Closing the socket tells the client as much.
    }
}

void cs_desk_say(cs_desk* desk, cs_client* client, cs_bytes out, int exit_code, uint32_t plan_us) {
    try {
        desk->desk->say(peer_of(*client), out.data, out.size, exit_code, plan_us);
    } catch (const std::exception&) {
        // As above.
    }
}

void cs_desk_numbers_get(const cs_desk* desk, cs_desk_numbers* out) {
    static_assert(Desk::kStages == CS_STAGES && Desk::kBuckets == CS_BUCKETS, "kernel.h tells Python these");
    const Desk::Numbers n = desk->desk->numbers();
    *out = cs_desk_numbers{n.served, n.declined, n.remembered, n.bytes_out, n.clients_gone,
                           n.files, n.candidates, n.candidate_bytes, n.repeated, Answers::all_bytes(), {}, {}};
    for (size_t stage = 0; stage < CS_STAGES; ++stage) out->us_sum[stage] = n.us_sum[stage];
    for (size_t stage = 0; stage < CS_STAGES; ++stage)
        for (size_t bucket = 0; bucket < CS_BUCKETS; ++bucket) out->us[stage][bucket] = n.us[stage][bucket];
}

size_t cs_desk_reasons(const cs_desk* desk, char* out, size_t size) {
    try {
        std::string lines;
        for (const auto& [reason, count] : desk->desk->reasons()) lines += reason + " " + std::to_string(count) + "\n";
        copy_text(out, size, lines);
        return lines.size() + 1;
    } catch (const std::exception&) {
        return 0;
    }
}

void cs_desk_look(cs_desk* desk, uint32_t seconds) { desk->desk->census().look(seconds); }

size_t cs_desk_census(const cs_desk* desk, char* out, size_t size) {
    try {
        const std::string records = desk->desk->census().report();
        std::memcpy(out, records.data(), records.size() < size ? records.size() : size);
        return records.size();
    } catch (const std::exception&) {
        return 0;
    }
}

size_t cs_desk_sample(cs_desk* desk, char* payload, size_t payload_size, char* root, size_t root_size) {
    const Census::Sample sample = desk->desk->census().take_sample();
    if (sample.payload.size() > payload_size || sample.root.size() >= root_size) return 0;
    std::memcpy(payload, sample.payload.data(), sample.payload.size());
    copy_text(root, root_size, sample.root);
    return sample.payload.size();
}

}  // extern "C"
