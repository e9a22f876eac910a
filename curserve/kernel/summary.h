// summary.h: what is printed of a file as a whole: a count, its path, nothing.
//
// In: what a search tells a Sink. Out: at most one line to a Writer, as grep-printer's Summary writes it (-c,
// --count-matches, -l, --files-without-match, -q). One object per file.
#ifndef CURSERVE_SUMMARY_H
#define CURSERVE_SUMMARY_H
#include <cstdint>
#include <string_view>

#include "sink.h"
#include "spans.h"

namespace curserve {

class SummaryPrinter : public Sink {
  public:
    // path: after --path-separator.
    SummaryPrinter(const Job& job, std::string_view path, Writer& out);
    bool matched(const Found&) override;
    bool wants_many() const override { return !quits_early_; }
    size_t matched_many(const FoundLines&) override;
    bool wants_count_only() const override;
    void counted(uint64_t lines) override;
    bool context(const Found&, ContextKind) override { return true; }
    void finish(uint64_t byte_count, int64_t binary_offset) override;
    bool has_match() const override {
        return job_.spec.mode == CS_MODE_FILES_WITHOUT_MATCH ? match_count_ == 0 : match_count_ > 0;
    }

  private:
    void put_path(std::string_view end);

    const Job& job_;
    std::string_view path_;
    Writer& out_;
    uint64_t match_count_ = 0;
    bool counts_;      // every match is counted: statistics, or --count-matches
    bool quits_early_;
};

}  // namespace curserve
#endif
