#include "execute.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <mutex>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unordered_map>

#include "answers.h"
#include "crew.h"
#include "declined.h"
#include "line_buffer.h"
#include "long_slice.h"
#include "order.h"
#include "outside.h"
#include "peer.h"
#include "reply.h"
#include "shortlist.h"
#include "starts.h"

namespace curserve {

// What is kept of an answer: all but the end, which tells the time.
struct Answer {
    std::string text;  // for stdout; nothing was said on stderr
    Totals totals;
    int code;
    uint64_t files;  // selected
};

namespace {

// What a search may read from disk at its own expense before it is handed to the real rg (which reads no more).
constexpr uint64_t kExtendBudgetBytes = 256u << 20;
constexpr uint64_t kOutsideBudgetBytes = 32u << 20;  // of files outside of the view: read by one thread, kept by nobody
constexpr int kExtendRounds = 16;              // each round lists one more level of ignored directories at most
constexpr uint64_t kJobBytes = 512u << 10;     // text in one job
constexpr size_t kJobFiles = 512;
constexpr uint64_t kHeavyBytes = 4u << 20;     // this much text (1 to 40 ms, by engine) needs a slot of its agent's (fair.h)
constexpr uint64_t kAloneBytes = 2u << 20;     // less text than this is not worth a second thread (a wake-up is ~30 us)
constexpr const char* kDeadline = "deadline";   // the reason

uint32_t us_between(uint64_t from_ns, uint64_t to_ns) { return static_cast<uint32_t>((to_ns - from_ns) / 1000u); }

// Whether a path names what somebody else sees there: device, inode and mount (0: not told) agree.
class Place {
  public:
    explicit Place(const std::string& path)
        : there_(::statx(AT_FDCWD, path.c_str(), AT_STATX_SYNC_AS_STAT, STATX_INO | STATX_MNT_ID, &stx_) == 0) {}
    bool is(uint64_t dev, uint64_t ino, uint64_t mnt) const {
        return there_ && makedev(stx_.stx_dev_major, stx_.stx_dev_minor) == dev && stx_.stx_ino == ino &&
               (mnt == 0 || stx_.stx_mnt_id == mnt);
    }

  private:
    struct statx stx_{};
    bool there_;
};

void check_places(const Tree& tree, const Asker& asker) {
    const cs_wire_request& facts = asker.facts;
    static const Place top("/");  // ours stays what it was; were all roots moved (pivot_root), nobody would be served
    if (!top.is(facts.root_dev, facts.root_ino, 0)) throw Declined{"root_identity"};
    const Place cwd(asker.cwd);
    if (!cwd.is(facts.cwd_dev, facts.cwd_ino, facts.cwd_mnt)) throw Declined{"cwd_identity"};
    const Tree::Identity root = tree.identity();
    const Place here = asker.cwd == tree.root() ? cwd : Place(tree.root());
    if (!here.is(root.dev, root.ino, root.mnt)) throw Declined{"gone"};
}

// Between the names in the paths that are printed. JSON's are left as they are.
char separator_of(const SearchSpec& spec) {
    return spec.has_path_separator != 0 && spec.mode != CS_MODE_JSON ? static_cast<char>(spec.path_separator) : '/';
}

// What was said on stdout, as long as it is short enough to be kept; nothing of more than that.
class Record {
  public:
    explicit Record(bool wanted) : whole_(wanted) {}
    void add(const void* data, size_t size) {
        whole_ = whole_ && text_.size() + size <= Answers::kMostOne;
        if (whole_) text_.append(static_cast<const char*>(data), size);
    }
    bool is_whole() const { return whole_; }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
    bool whole_;
};

// What goes straight to the client.
class ReplyOutput : public Output {
  public:
    explicit ReplyOutput(Reply& reply, Record* record = nullptr) : reply_(reply), record_(record) {}
    bool append(const void* data, size_t size) override {
        written_ += size;
        if (record_ != nullptr) record_->add(data, size);
        return reply_.out(data, size);
    }
    uint64_t written() const override { return written_; }

  private:
    Reply& reply_;
    Record* const record_;  // may be null
    uint64_t written_ = 0;
};

// One search. Set up on the caller's thread; work() runs on several.
class Run final : private Patience {
  public:
    // failed: something was told on stderr already.
    Run(const Query& query, const SearchSpec& spec, const GramIndex* index, const ViewRef& view, std::vector<Start> starts,
        SelectionRef selection, bool failed, Reply& reply, Mentioned* mentioned, bool keep)
        : query_(query),
          spec_(spec),
          index_(index),
          view_(view),
          starts_(std::move(starts)),
          selection_(std::move(selection)),
          failed_(failed),
          reply_(reply),
          mentioned_(mentioned),
          record_(keep) {
        ask_index();
        make_jobs();
        if (!minding_.empty()) settle_buffers();
    }

    // behind: as Gate's.
    void go(const std::function<uint32_t()>& behind) {
        unseparated_.assign(jobs_.size(), 0);
        OrderedJobs jobs(jobs_.size() - 1, [this](const std::vector<char>& bytes, size_t job, bool first) {
            return emit(bytes, first, first && unseparated_[job] == 0);
        });
        ordered_ = &jobs;
        const bool alone = total_bytes_ < kAloneBytes || jobs_.size() < 3 || one_buffer_;
        const unsigned helpers = alone ? 0 : query_.threads - 1;
        Crew::instance().help(helpers, behind, [this](const Crew::Loan* loan) { return work(loan); });
    }

    bool is_heavy() const { return total_bytes_ >= kHeavyBytes; }

    void finish(Outcome& outcome, const Asker& asker, uint32_t plan_us) {
        if (!unsure_.empty() && !reply_.sent_any()) throw Declined{unsure_};
        int code = matched_ ? 0 : 1;
        if (failed_ && !(matched_ && spec_.quiet != 0)) code = 2;
        if (!unsure_.empty()) {
            const std::string_view why = unsure_ == kDeadline
                                             ? "rg: curserve: the search took longer than [limits] deadline_s allows\n"
                                             : "rg: curserve: a file could not be searched exactly; search again with rg\n";
            reply_.err(why.data(), why.size());
            code = 2;
        } else if (query_.matcher != nullptr) {
            totals_.total_ns = totals_.search_ns = monotonic_ns() - asker.deadline.received_ns;
            ReplyOutput out(reply_);
            totals_.bytes_printed += between_bytes_;
            print_end(spec_, totals_, out);
            // Nothing to search where no path was named is an error for ripgrep.
            if (selection_->files.empty() && !starts_.empty() && starts_.front().implicit) {
                static constexpr char kNothing[] =
                    "rg: No files were searched, which means ripgrep probably applied a filter you didn't expect.\n"
                    "Running with --debug will show why files are being skipped.\n";
                if (query_.messages) reply_.err(kNothing, sizeof kNothing - 1);
                code = 2;
            }
        }
        const uint64_t now = monotonic_ns();
        outcome.total_us = us_between(asker.deadline.received_ns, now);
        outcome.exit_code = code;
        outcome.files = selection_->files.size();
        outcome.bytes_scanned = totals_.bytes_searched;
        outcome.candidates = files_.size();
        outcome.candidate_bytes = total_bytes_;
        const cs_wire_exit last{static_cast<uint32_t>(code), plan_us, outcome.barrier_us, outcome.search_us,
                                outcome.total_us, 0};
        reply_.exit(last);
        outcome.client_gone = reply_.gone();
        outcome.bytes_out = reply_.bytes();
        // The client does not wait for these.
        if (mentioned_ != nullptr) mentioned_->name(*view_->shape);
        const bool from_disk = from_disk_.load(std::memory_order_relaxed);
        if (record_.is_whole() && code != 2 && !from_disk && !outcome.client_gone) keep(code);
    }

  private:
    // The output of one job: files in a row, with what ripgrep prints between two that printed.
    class JobOutput : public Output {
      public:
        JobOutput(Run& run, size_t job, const Pace& pace) : run_(run), job_(job), pace_(pace) {}
        void next_file() {
            written_ = between_bytes_ = 0;
            file_printed_ = holding_ = false;
        }
        // The file is done. ripgrep of one thread separates only files that printed lines; takes back what was too much.
        // Gives the bytes printed between this file and the one before.
        uint64_t end_file(bool separate) {
            if (!separate && file_printed_ && first_of_job_) run_.unseparated_[job_] = 1;
            first_of_job_ = first_of_job_ && !file_printed_;
            if (!separate && between_bytes_ > 0 && !between_left_) {
                const auto at = buffer_.begin() + static_cast<std::ptrdiff_t>(between_at_);
                buffer_.erase(at, at + static_cast<std::ptrdiff_t>(between_bytes_));
                between_bytes_ = 0;
            }
            return between_bytes_;
        }
        bool append(const void* data, size_t size) override {
            if (pace_.over()) return false;  // it may be wrong
            if (size == 0) return true;
            if (!file_printed_) {
                file_printed_ = true;
                if (job_printed_) {
                    Between between(*this);
                    between_at_ = buffer_.size();
                    between_left_ = false;
                    holding_ = true;
                    print_between(run_.spec_, between);
                    between_bytes_ = between.written();
                }
                job_printed_ = true;
            }
            written_ += size;
            return raw(data, size);
        }
        uint64_t written() const override { return written_; }
        void end() { run_.ordered_->finish(job_, std::move(buffer_), streaming_); }

      private:
        // Bytes between files belong to no file.
        class Between : public Output {
          public:
            explicit Between(JobOutput& job) : job_(job) {}
            bool append(const void* data, size_t size) override {
                written_ += size;
                return job_.raw(data, size);
            }
            uint64_t written() const override { return written_; }

          private:
            JobOutput& job_;
            uint64_t written_ = 0;
        };
        bool raw(const void* data, size_t size) {
            const auto* from = static_cast<const char*>(data);
            buffer_.insert(buffer_.end(), from, from + size);
            // What may have to be taken back stays here: a file that prints no lines prints no more than a message.
            holding_ = holding_ && written_ < kMessage;
            if (buffer_.size() < kOffer || holding_) return true;
            const bool wanted = run_.ordered_->offer(job_, buffer_, &streaming_);
            if (buffer_.empty()) between_left_ = true;
            return wanted;
        }
        static constexpr size_t kOffer = 128u << 10, kMessage = 32u << 10;
        Run& run_;
        size_t job_;
        const Pace& pace_;  // of the thread that prints here
        std::vector<char> buffer_;
        uint64_t written_ = 0, between_bytes_ = 0;
        size_t between_at_ = 0;
        bool between_left_ = false, holding_ = false;
        bool file_printed_ = false, job_printed_ = false, streaming_ = false;
        bool first_of_job_ = true;  // no file before this one printed
    };

    // Where a file without a match prints nothing, the index may say which files need not be looked at.
    void ask_index() {
        const SearchSpec& spec = spec_;
        if (index_ == nullptr || query_.brute || query_.grams == nullptr || !may_skip_unmatched(spec)) return;
        if (spec.encoding > CS_ENCODING_NONE) return;  // the text searched is not the text indexed
        const MatcherSpec& matcher = query_.matcher->spec();
        GramIndex::Scope scope;
        scope.by_content = matcher.multi_line || matcher.line_terminator != '\n';
        scope.past_nul = scope.by_content || spec.mmap != 0 || spec.binary != CS_BINARY_AUTO;
        candidates_ = index_->candidates(*view_, *query_.grams, scope);
    }

    bool is_named(const Selected& file) const { return starts_[file.start].names(file.position); }

    // Not indexed: the view knows nothing of it.
    bool is_outside(const Selected& file) const { return selection_->outside && starts_[file.start].view != nullptr; }
    const View& view_with(const Selected& file) const { return is_outside(file) ? *starts_[file.start].view : *view_; }
    const Facts& facts_of(const Selected& file) const { return view_with(file).facts(file.position); }

    // True: a file without a match, counted as ripgrep counts it.
    bool is_left_out(const Selected& file) {
        if (candidates_ == nullptr || is_outside(file) || candidates_->may_match(file.position)) return false;
        const uint64_t bytes = Shortlist::bytes_left_out(spec_, *query_.matcher, *view_, *candidates_->locations(),
                                                         file.position, is_named(file));
        if (bytes == kUnsureBytes) return false;
        totals_.searches += 1;
        totals_.bytes_searched += bytes;
        return true;
    }

    // The places of the files to be searched, without asking of each file. False: each must be asked of.
    bool choose_at_once(Shortlist::Choice* choice) {
        if (candidates_ == nullptr || selection_->outside) return false;
        SelectionMemo& memo = selection_->memo;
        const auto& locations = candidates_->locations();
        const Shortlist::Rules rules = Shortlist::Rules::of(spec_, *query_.matcher);
        auto shortlist = memo.find([&](const Shortlist& kept) { return kept.fits(rules, locations); });
        if (shortlist == nullptr) {
            if (!memo.asked_again(locations.get())) return false;
            shortlist =
                std::make_shared<Shortlist>(spec_, *query_.matcher, *view_, *selection_, starts_, locations);
            memo.keep(shortlist);
        }
        return shortlist->choose(spec_, *query_.matcher, *view_, *selection_, *candidates_, choice);
    }

    // files_[jobs_[i]] .. files_[jobs_[i + 1]] are the files of job i.
    void make_jobs() {
        jobs_.push_back(0);
        uint64_t bytes = 0;
        // Otherwise a plain text minds no buffer (may_mind_buffer).
        const bool late_stop = spec_.has_max_count != 0 && spec_.after_context > 0;
        const auto add = [&](const Selected& file) {
            // The index knows most sizes; it saves a look at the content, which would be a cache miss or two for each.
            const bool indexed = candidates_ != nullptr && !is_outside(file);
            uint64_t size = indexed && !late_stop ? candidates_->plain_size_bytes(file.position)
                                                                 : Candidates::kUnknown;
            if (size == Candidates::kUnknown) {
                const Facts& facts = facts_of(file);
                size = facts.content ? facts.content->data.size() : facts.size_bytes;
                if (facts.content && may_mind_buffer(spec_, *query_.matcher, *facts.content, is_named(file)))
                    minding_.push_back(file);
            }
            if (indexed) size = candidates_->candidate_bytes(file.position, size);
            files_.push_back(file);
            total_bytes_ += size;
            bytes += size;
            if (bytes >= kJobBytes || files_.size() - jobs_.back() > kJobFiles) {
                jobs_.push_back(files_.size());
                bytes = 0;
            }
        };
        Shortlist::Choice choice;
        if (choose_at_once(&choice)) {
            totals_.searches += choice.left_out;
            totals_.bytes_searched += choice.bytes;
            for (const uint32_t place : choice.files) add(selection_->files[place]);
        } else {
            for (const Selected& file : selection_->files)
                if (!is_left_out(file)) add(file);
        }
        if (jobs_.back() != files_.size()) jobs_.push_back(files_.size());
    }

    // What is printed of a file may depend on the buffer that the files before left. One thread in an order that we know:
    // so do we. Otherwise it is chance, or the order of directories, and left to ripgrep.
    void settle_buffers() {
        Scratch scratch;
        scratch.pace.keep_to(this);
        std::vector<Selected> minding;
        for (const Selected& file : minding_) {
            const ContentRef content = content_of(file);
            if (content == nullptr) throw Declined{"unreadable"};
            if (minds_buffer(spec_, *query_.matcher, *content, is_named(file), scratch)) minding.push_back(file);
        }
        if (scratch.pace.over()) throw Declined{reply_.gone() ? "client_gone" : kDeadline};
        if (minding.empty()) return;
        if (query_.matcher->spec().multi_line) throw Declined{"buffers"};
        size_t growing = 0;
        bool other = false;
        for (const Selected& file : selection_->files) {
            const ContentRef content = content_of(file);
            if (content != nullptr && !may_grow_buffer(spec_, *content)) continue;
            ++growing;
            const bool same = minding[0].position == file.position && minding[0].start == file.start;
            other = other || growing > 1 || minding.size() > 1 || !same;
        }
        if (!other) return;
        const auto is_file = [&](const Start& start) {
            return start.link != kNowhere || view_->shape->kind[start.position] == Kind::kFile;
        };
        const bool in_order = query_.sorted || std::all_of(starts_.begin(), starts_.end(), is_file);
        if (spec_.single_threaded == 0 || !in_order) throw Declined{"buffers"};
        one_buffer_ = true;
        candidates_ = nullptr;  // files without a match enlarge it, too
        totals_ = Totals();
        files_.clear();
        jobs_.clear();
        total_bytes_ = 0;
        make_jobs();
    }

    bool emit(const std::vector<char>& bytes, bool first_of_job, bool separate) {
        if (bytes.empty()) return true;
        // A ripgrep of one thread that cannot print has matched nothing yet in its own eyes until a file is done.
        const bool alone = spec_.single_threaded != 0;
        if (alone && !printed_any_) reply_.broken_pipe_exit(failed_ ? 2 : 1);
        if (first_of_job && printed_any_) {
            if (alone) reply_.broken_pipe_exit(failed_ ? 2 : 0);
            ReplyOutput out(reply_, &record_);
            if (separate) print_between(spec_, out);
            if (alone) between_bytes_ += out.written();
        }
        printed_any_ = true;
        record_.add(bytes.data(), bytes.size());
        return reply_.out(bytes.data(), bytes.size());
    }

    // For whoever asks the same of the same view: answer_again().
    void keep(int code) {
        Answer answer{record_.take(), totals_, code, selection_->files.size()};
        const size_t size_bytes = sizeof answer + answer.text.size();
        selection_->memo.answers.keep(view_, query_.serial.value(), std::make_shared<const Answer>(std::move(answer)),
                                      size_bytes);
    }

    // Whether the answer is still waited for, and may still be given: asked by all threads in the middle of their files.
    bool lasts() override {
        return !(ordered_ != nullptr && ordered_->stopped()) && !reply_.hung_up() && !reply_.is_late();
    }

    // loan: of a thread of the crew, which goes on elsewhere when others wait for it. True: there is more to do here.
    bool work(const Crew::Loan* loan) noexcept {
        bool more = false;
        try {
            Scratch scratch;
            scratch.pace.keep_to(this);
            Totals totals;
            std::vector<ByteRange> ranges;
            PrintedPaths paths(*view_, starts_, separator_of(spec_));
            bool matched = false;
            for (size_t job; (job = ordered_->claim()) != OrderedJobs::kNoJob;) {
                JobOutput out(*this, job, scratch.pace);
                fetch_first(jobs_[job], jobs_[job + 1]);
                for (size_t i = jobs_[job]; i < jobs_[job + 1]; ++i) {
                    fetch_ahead(i, jobs_[job + 1]);
                    if (!one_file(files_[i], paths, scratch, ranges, out, totals, &matched)) break;
                }
                if (scratch.pace.over()) {
                    give_up();
                    break;
                }
                out.end();
                if (matched && spec_.quiet != 0 && spec_.stats == 0) ordered_->stop();
                if (loan != nullptr && loan->is_recalled()) {
                    more = true;
                    break;
                }
            }
            std::lock_guard<std::mutex> lock(mutex_);
            matched_ = matched_ || matched;
            totals_.searches += totals.searches;
            totals_.searches_with_match += totals.searches_with_match;
            totals_.matched_lines += totals.matched_lines;
            totals_.matches += totals.matches;
            totals_.bytes_searched += totals.bytes_searched;
            totals_.bytes_printed += totals.bytes_printed;
            totals_.printed = totals_.printed || totals.printed;
        } catch (const std::exception&) {
            fail("no_memory");
        }
        return more;
    }

    // What the files of a job will be asked for first is on its way to the cache by then: small files cost mostly that wait.
    // A text is found by its content; both its ends are looked at before anything else of it. (A content six files ahead
    // was not there in time.)
    static constexpr size_t kTextAhead = 4, kContentAhead = 4 * kTextAhead;
    void fetch_first(size_t first, size_t end) const {
        for (size_t i = first; i < std::min(first + kContentAhead, end); ++i) fetch_content(i);
        for (size_t i = first; i < std::min(first + kTextAhead, end); ++i) fetch_text(i);
    }
    void fetch_ahead(size_t i, size_t end) const {
        if (i + kContentAhead < end) fetch_content(i + kContentAhead);
        if (i + kTextAhead < end) fetch_text(i + kTextAhead);
    }
    void fetch_content(size_t i) const {
        if (const auto* content = reinterpret_cast<const char*>(held(files_[i]))) {
            __builtin_prefetch(content);
            __builtin_prefetch(content + 64);
        }
    }
    void fetch_text(size_t i) const {
        const Content* const content = held(files_[i]);
        if (content == nullptr || content->data.size() == 0) return;
        const uint8_t* const text = content->data.data();
        const size_t size = content->data.size();
        for (size_t at = 0; at < std::min<size_t>(size, 1024); at += 64) __builtin_prefetch(text + at);
        __builtin_prefetch(text + size - 1);
        __builtin_prefetch(text + size - 65);
    }

    const Content* held(const Selected& file) const { return facts_of(file).content.get(); }

    void give_up() {
        if (!reply_.gone() && reply_.is_late()) {
            fail(kDeadline);
        } else {
            ordered_->stop();
        }
    }

    void fail(const char* reason) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            if (unsure_.empty()) unsure_ = reason;
        }
        ordered_->stop();
    }

    bool one_file(const Selected& selected, PrintedPaths& paths, Scratch& scratch, std::vector<ByteRange>& ranges,
                  JobOutput& out, Totals& totals, bool* matched) {
        const bool named = is_named(selected);
        const Facts& facts = facts_of(selected);
        const ContentRef content = content_of(selected);
        if (content == nullptr) {
            fail("unreadable");
            return false;
        }
        const std::string_view path = paths.of(selected);
        out.next_file();
        const bool narrowed = candidates_ != nullptr && !named && !is_outside(selected) && content == facts.content &&
                              candidates_->ranges(selected.position, &ranges);
        const FileResult result = search_content(spec_, *query_.matcher, *content, path, named, scratch, out,
                                                 narrowed ? &ranges : nullptr, one_buffer_ ? &buffer_bytes_ : nullptr);
        if (scratch.pace.over()) return false;
        if (result.unsure != nullptr) {
            fail(result.unsure);
            return false;
        }
        totals.add(spec_, result, out.end_file(result.separate));
        if (result.matched && mentioned_ != nullptr && !is_outside(selected)) mentioned_->add(selected.position);
        *matched = *matched || result.matched;
        return !result.stopped && !(result.matched && spec_.quiet != 0 && spec_.stats == 0);
    }

    // As much of a file as this search needs; null if it cannot be read.
    ContentRef content_of(const Selected& file) {
        const ContentRef& held = facts_of(file).content;
        bool enough = held != nullptr && !needs_file(spec_, *query_.matcher, *held, is_named(file));
        // How ripgrep's buffer grows is known only of what ripgrep reads.
        if (enough && one_buffer_) enough = held->coding != Coding::kUtf16;
        return enough ? held : read_now(view_with(file), file.position);
    }

    // A file that is not held whole is read as the real rg would read it: now.
    ContentRef read_now(const View& view, Position position) {
        std::vector<uint8_t> raw;
        struct stat st{};
        from_disk_.store(true, std::memory_order_relaxed);
        if (read_file(AT_FDCWD, view.shape->absolute(position).c_str(), false, &raw, &st) != 0) return nullptr;
        static Store transient;  // keep_whole: entered into no store
        return transient.put(std::move(raw), true);
    }

    const Query& query_;
    const SearchSpec& spec_;  // the query's, with what depends on the files
    const GramIndex* index_;  // may be null
    ViewRef view_;
    std::vector<Start> starts_;
    SelectionRef selection_;
    bool failed_;
    Reply& reply_;
    Mentioned* const mentioned_;  // null: nobody looks
    Record record_;  // of the emitting thread only
    std::atomic<bool> from_disk_{false};  // something was read for this search
    OrderedJobs* ordered_ = nullptr;
    std::vector<char> unseparated_;  // of each job: what comes first is no file's lines, but one thread's message
    CandidatesRef candidates_;     // null: every file must be searched
    std::vector<Selected> files_;  // to be searched, in order
    std::vector<size_t> jobs_;
    uint64_t total_bytes_ = 0;
    bool printed_any_ = false;  // written by the emitting thread only, and the next
    uint64_t between_bytes_ = 0;
    std::vector<Selected> minding_;  // what is printed of them may depend on the size of ripgrep's buffer
    bool one_buffer_ = false;        // files are searched one after the other, with one buffer
    size_t buffer_bytes_ = kBufferBytes;
    std::mutex mutex_;
    bool matched_ = false;      // under mutex_, and the two below
    Totals totals_;
    std::string unsure_;
};

ViewRef take_barrier(Tree& tree, Outcome& outcome) {
    const uint64_t begun = monotonic_ns();
    const char* reason = nullptr;
    ViewRef view = tree.barrier(&reason);
    outcome.barrier_us = us_between(begun, monotonic_ns());
    if (view == nullptr) throw Declined{reason != nullptr ? reason : "stale"};
    return view;
}

// Selects, and has the tree list and load what the selection needs but the view does not hold yet.
SelectionRef settle(Tree& tree, const Query& query, const Asker& asker, ViewRef& view, Starts& starts) {
    const char* reason = nullptr;
    for (int round = 0; round < kExtendRounds; ++round) {
        starts = locate_starts(*view, query.paths, asker.cwd);
        if (!starts.unlisted.empty()) {
            view = tree.extend(view, starts.unlisted, {}, kExtendBudgetBytes, &reason);
            if (view == nullptr) throw Declined{reason != nullptr ? reason : "too_much"};
            continue;
        }
        if (starts.there.empty()) return std::make_shared<Selection>();
        SelectionRef selection = select(view, *query.filter, starts.there);
        if (selection->uncertain) throw Declined{selection->why_uncertain != nullptr ? selection->why_uncertain : "uncertain"};
        std::vector<Position> missing;
        if (selection->unlisted.empty()) {
            if (query.matcher == nullptr || selection->memo.is_held(view->generation)) return selection;
            const auto is_outside = [&](const Selected& file) {
                const size_t named = starts.there.size();
                return selection->outside && file.start >= named && selection->followed[file.start - named].view != nullptr;
            };
            for (const Selected& file : selection->files) {
                if (is_outside(file)) continue;
                const Facts& facts = view->facts(file.position);
                if (facts.error != 0) throw Declined{"unreadable"};
                if (facts.content == nullptr) missing.push_back(file.position);
            }
            if (missing.empty()) {
                selection->memo.set_held(view->generation);
                return selection;
            }
        }
        view = tree.extend(view, selection->unlisted, missing, kExtendBudgetBytes, &reason);
        if (view == nullptr) throw Declined{reason != nullptr ? reason : "too_much"};
    }
    throw Declined{"too_much"};
}

// Reads the files that were found outside of the view.
void load_outside(const Selection& selection, std::vector<Start>& starts) {
    if (!selection.outside) return;
    std::unordered_map<uint32_t, std::vector<Position>> found;
    for (const Selected& file : selection.files)
        if (starts[file.start].view != nullptr) found[file.start].push_back(file.position);
    uint64_t budget_bytes = kOutsideBudgetBytes;
    for (const auto& [start, files] : found) {
        starts[start].view = with_texts(*starts[start].view, files, &budget_bytes);
        if (starts[start].view == nullptr) throw Declined{"follow_outside"};
    }
}

// ripgrep's walk passes over the file that its own output goes to; one that was named is searched all the same.
SelectionRef without_stdout(const SelectionRef& selection, const View& view, const std::vector<Start>& starts,
                            const cs_wire_fd& out) {
    if (out.kind != CS_FD_FILE) return selection;
    const auto is_stdout = [&](const Selected& file) {
        const Facts& facts = view_of(starts[file.start], view).facts(file.position);
        return facts.ino == out.ino && facts.dev == out.dev && !starts[file.start].names(file.position);
    };
    if (std::none_of(selection->files.begin(), selection->files.end(), is_stdout)) return selection;
    auto rest = std::make_shared<Selection>(*selection);
    rest->files.erase(std::remove_if(rest->files.begin(), rest->files.end(), is_stdout), rest->files.end());
    return rest;
}

// Paths that were named but are not there, and links that cannot be followed. ripgrep's walk of one thread words it otherwise
// than that of several.
std::string in_words(const SearchSpec& spec, const std::vector<Starts::Missing>& missing,
                     const std::vector<Complaint>& complaints, const std::vector<Start>& starts) {
    std::string told;
    const auto tell = [&](const std::string& shown, int error) {
        told += "rg: " + shown + ": ";
        if (spec.single_threaded != 0) told += "IO error for operation on " + shown + ": ";
        told += error == ENOTDIR ? "Not a directory" : "No such file or directory";
        told += " (os error " + std::to_string(error) + ")\n";
    };
    auto next = missing.begin();
    const auto tell_named_before = [&](size_t start) {
        for (; next != missing.end() && next->before <= start; ++next) tell(next->shown, ENOENT);
    };
    for (const Complaint& complaint : complaints) {
        size_t start = complaint.start;
        while (starts[start].link != kNowhere) start = starts[start].met_in;
        tell_named_before(start);
        const std::string shown = in_messages(complaint.path);
        if (complaint.error != 0) {
            tell(shown, complaint.error);
            continue;
        }
        told += "rg: File system loop found: " + shown + " points to an ancestor " + in_messages(complaint.ancestor) + "\n";
    }
    tell_named_before(starts.size());
    return told;
}

// Whether anything in the view lies on another file system than the root.
bool has_mounts(const View& view) {
    const uint64_t dev = view.facts(0).dev;
    for (Position p = 1; p < view.shape->size(); ++p) {
        if (view.shape->kind[p] == Kind::kDirectory && view.facts(p).dev != dev) return true;
    }
    return false;
}

void list_files(const Query& query, const View& view, const std::vector<Start>& starts, const Selection& selection,
                Reply& reply) {
    const char end = query.spec.null_path != 0 ? '\0' : '\n';
    ReplyOutput output(reply);
    Writer out(output);
    PrintedPaths paths(view, starts, separator_of(query.spec));
    for (const Selected& file : selection.files) {
        out.styled(query.spec.path_style, query.spec.color != 0, paths.of(file));
        out.put(end);
        if (out.stopped()) return;
    }
    out.flush();
}

// Whether what is said depends on the view, the selection and the query alone. Whoever looks is told names, which are
// not kept.
bool may_be_kept(const Query& query, const SearchSpec& spec, const Selection& selection, const Asker& asker, bool failed) {
    return query.matcher != nullptr && spec.single_threaded == 0 && !failed && !selection.outside &&
           !selection.files.empty() && !query.sorted &&
           asker.facts.fd[1].kind != CS_FD_FILE && asker.mentioned == nullptr;
}

// Says what was said before. Elapsed times: of single files as they were searched, of the whole this time's.
void answer_again(const Answer& answer, const SearchSpec& spec, const Asker& asker, uint32_t plan_us, Reply& reply,
                  Outcome& outcome) {
    reply.out(answer.text.data(), answer.text.size());
    Totals totals = answer.totals;
    totals.total_ns = totals.search_ns = monotonic_ns() - asker.deadline.received_ns;
    ReplyOutput out(reply);
    print_end(spec, totals, out);
    outcome.total_us = us_between(asker.deadline.received_ns, monotonic_ns());
    outcome.exit_code = answer.code;
    outcome.files = answer.files;
    outcome.repeated = true;
    reply.exit(cs_wire_exit{static_cast<uint32_t>(answer.code), plan_us, outcome.barrier_us, outcome.search_us,
                            outcome.total_us, 0});
    outcome.client_gone = reply.gone();
    outcome.bytes_out = reply.bytes();
}

void serve(Tree& tree, const GramIndex* index, const Query& query, const Asker& asker, uint32_t plan_us, Reply& reply,
           Outcome& outcome, Gate* gate) {
    check_places(tree, asker);
    ViewRef view = take_barrier(tree, outcome);
    const uint64_t begun = monotonic_ns();
    Starts located;
    SelectionRef selection = settle(tree, query, asker, view, located);
    std::vector<Start>& starts = located.there;
    outcome.generation = view->generation;
    SearchSpec spec = query.spec;
    bool all_files = !query.paths.empty() && located.missing.empty();
    for (const Start& start : starts) all_files = all_files && view->shape->kind[start.position] == Kind::kFile;
    if (query.one_file_system && (selection->outside || has_mounts(*view))) throw Declined{"one_file_system"};
    if (query.with_filename_auto) spec.with_filename = starts.size() == 1 && all_files ? 0 : 1;
    if (query.mmap_auto && all_files && starts.size() <= 10) spec.mmap = 1;
    if (query.paths.size() == 1 && (all_files || starts.empty())) spec.single_threaded = 1;
    starts.insert(starts.end(), selection->followed.begin(), selection->followed.end());
    const bool failed = !located.missing.empty() || !selection->complaints.empty();
    // ripgrep ends at the first match: whether it comes to a path that is not there is a matter of its threads and order.
    const bool ends_early = spec.quiet != 0 && spec.stats == 0 && !starts.empty();
    if (ends_early && query.messages && failed) throw Declined{"quiet_missing"};
    const bool keep = may_be_kept(query, spec, *selection, asker, failed);
    if (keep) {
        if (const auto answer = selection->memo.answers.find(view, query.serial.value())) {
            outcome.search_us = us_between(begun, monotonic_ns());
            return answer_again(*answer, spec, asker, plan_us, reply, outcome);
        }
    }
    std::string complaints;
    if (query.messages && failed) {
        const bool by_name = spec.single_threaded == 0 || (query.sorted && query.sort == Sort::kPath && !query.reverse);
        complaints = in_words(spec, located.missing, in_order_of_walk(*selection, *view, starts, by_name), starts);
    }
    if (query.matcher != nullptr) {
        selection = without_stdout(selection, *view, starts, asker.facts.fd[1]);
        load_outside(*selection, starts);
    }
    selection = in_order(selection, *view, starts, query.sort, query.reverse);
    if (reply.is_late()) throw Declined{kDeadline};
    if (query.matcher == nullptr) {
        reply.err(complaints.data(), complaints.size());
        if (query.spec.quiet == 0) list_files(query, *view, starts, *selection, reply);
        outcome.search_us = us_between(begun, monotonic_ns());
        outcome.total_us = us_between(asker.deadline.received_ns, monotonic_ns());
        outcome.exit_code = selection->files.empty() ? 1 : 0;
        if (failed && (outcome.exit_code != 0 || query.spec.quiet == 0)) outcome.exit_code = 2;
        outcome.files = selection->files.size();
        reply.exit(cs_wire_exit{static_cast<uint32_t>(outcome.exit_code), plan_us, outcome.barrier_us,
                                outcome.search_us, outcome.total_us, 0});
        outcome.client_gone = reply.gone();
        outcome.bytes_out = reply.bytes();
        return;
    }
    Run run(query, spec, index, view, std::move(starts), std::move(selection), failed, reply, asker.mentioned, keep);
    if (gate != nullptr && run.is_heavy() && !reply.sent_any() && !gate->enter()) {
        outcome.postponed = true;
        return;
    }
    reply.err(complaints.data(), complaints.size());
    std::optional<LongSlice> aside;
    if (run.is_heavy()) aside.emplace();
    run.go([gate] { return gate != nullptr ? gate->behind() : 0; });
    outcome.search_us = us_between(begun, monotonic_ns());
    run.finish(outcome, asker, plan_us);
}

}  // namespace

Outcome answer(Tree& tree, const GramIndex* index, const Query& query, const Asker& asker, uint32_t plan_us,
               Gate* gate) {
    Outcome outcome;
    Reply reply(asker.fd, asker.deadline, (asker.facts.flags & CS_ASKS_FILE) != 0);
    try {
        serve(tree, index, query, asker, plan_us, reply, outcome, gate);
        outcome.served = !outcome.postponed;
    } catch (const Declined& declined) {
        outcome.reason = declined.reason;
        reply.decline(declined.reason.c_str());
    } catch (const std::exception&) {
        // Out of memory, in all likelihood. After the first byte the client sees a broken answer and says so.
        outcome.reason = "no_memory";
        reply.decline("no_memory");
    }
    return outcome;
}

}  // namespace curserve
