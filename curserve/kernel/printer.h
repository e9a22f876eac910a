// printer.h: ripgrep's standard output: paths, numbers, lines, colours.
//
// In: what a search tells a Sink. Out: bytes to a Writer, as grep-printer's Standard writes them. One object per file.
// Does not know: other files (print_between of searcher.h separates them), the end of a run.
#ifndef CURSERVE_PRINTER_H
#define CURSERVE_PRINTER_H
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sink.h"
#include "spans.h"

namespace curserve {

class StandardPrinter : public Sink {
  public:
    // path: after --path-separator; empty data() means no path is printed.
    StandardPrinter(const Job& job, std::string_view path, Writer& out);
    bool matched(const Found&) override;
    bool wants_many() const override { return true; }
    size_t matched_many(const FoundLines&) override;
    bool context(const Found&, ContextKind) override;
    bool context_break() override;
    bool binary_data(uint64_t offset) override;
    void finish(uint64_t byte_count, int64_t binary_offset) override;
    bool has_match() const override { return match_count_ > 0; }

  private:
    // What is being printed: the lines themselves, or what --replace made of them.
    struct Sunk {
        const uint8_t* bytes;
        size_t size;
        const std::vector<Span>* spans;  // in bytes
        size_t original_matches;
        uint64_t offset, line_number;
        bool is_context;
    };

    bool is_plain() const;
    void put_plainly(const uint8_t* line, size_t size, size_t readable, uint64_t line_number);
    void sink(const Sunk&);
    void sink_fast_multi_line(const Sunk&);
    void sink_slow(const Sunk&);
    void sink_slow_multi_line(const Sunk&);
    void sink_only_matching_multi_line(const Sunk&);
    void sink_per_match_multi_line(const Sunk&);

    void search_prelude();
    void prelude(const Sunk&, uint64_t offset, uint64_t line_number, uint64_t column);  // column 0: none
    void write_line(const Sunk&, const uint8_t* bytes, size_t size);
    void write_colored_line(const Sunk&, const std::vector<Span>& spans, const uint8_t* bytes, size_t size);
    void write_colored_matches(const Sunk&, const uint8_t* bytes, Span line, const std::vector<Span>& spans,
                               size_t* index);
    void write_exceeded(const Sunk&, const uint8_t* bytes, Span line, const std::vector<Span>& spans, size_t* index);
    void write_path() { out_.styled(spec_.path_style, spec_.color != 0, path_); }
    void write_term() { out_.put(job_.terminator.bytes()); }
    void write_match(const uint8_t* bytes, Span piece);
    void end_color_match(const Sunk&);
    Span trimmed(const uint8_t* bytes, Span line) const;  // --trim
    Span unterminated(const uint8_t* bytes, Span line) const {
        return {line.start, end_without_printed_terminator(bytes, line, job_.terminator)};
    }
    bool exceeds(size_t size) const { return spec_.has_max_columns && size > spec_.max_columns; }
    bool highlight_on(const Sunk& sunk) const {
        return spec_.color && !Writer::is_plain(spec_.highlight_style) && !sunk.is_context;
    }
    bool has_path() const { return path_.data() != nullptr; }

    const Job& job_;
    const SearchSpec& spec_;
    std::string_view path_;
    Writer& out_;
    Replacer replacer_;
    std::vector<Span> spans_, one_;
    bool color_matches_;    // escape sequences around matches
    bool granular_;         // single matches are needed
    bool plain_;            // lines leave as they are, behind a path and a number at most
    std::string lead_;      // then: the path and its separator, and kSlack bytes more
    size_t lead_size_ = 0;
    bool in_match_ = false; // an escape sequence of a match is open
    uint64_t match_count_ = 0;
    int64_t binary_offset_ = -1;
};

}  // namespace curserve
#endif
