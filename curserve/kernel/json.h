// json.h: ripgrep's JSON Lines: begin, match, context, end; and the summary of a run.
//
// In: what a search tells a Sink. Out: bytes to a Writer, as grep-printer's JSON writes them with serde_json: text that
// is valid UTF-8 as a string, other bytes in base64. One object per file.
#ifndef CURSERVE_JSON_H
#define CURSERVE_JSON_H
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sink.h"
#include "spans.h"

namespace curserve {

// {"text":"..."} or {"bytes":"..."}.
void put_json_data(Writer& out, const uint8_t* bytes, size_t size, bool ascii);
// {"secs":0,"nanos":36296,"human":"0.000036s"}, keys sorted as serde_json's maps do if asked.
void put_json_duration(Writer& out, uint64_t ns, bool sorted);
// Seconds with six decimals, rounded as Rust's {:0.6} rounds.
void put_seconds(Writer& out, uint64_t ns);
bool is_utf8(const uint8_t* bytes, size_t size);

class JsonPrinter : public Sink {
  public:
    // path: as ripgrep's walk names it; --path-separator does not touch it.
    JsonPrinter(const Job& job, std::string_view path, Writer& out);
    bool matched(const Found&) override;
    bool wants_many() const override { return true; }
    bool context(const Found&, ContextKind) override;
    void finish(uint64_t byte_count, int64_t binary_offset) override;
    bool has_match() const override { return match_count_ > 0; }

  private:
    void begin();
    void write_path_json();
    std::string head(std::string_view type) const;  // of a message, up to its lines
    void message(std::string_view head, const Found&);

    const Job& job_;
    Writer& out_;
    Replacer replacer_;
    std::string_view path_;
    std::string path_json_, match_head_, context_head_;  // made once: the path stands in every message
    std::vector<Span> spans_;
    uint64_t match_count_ = 0;
    bool begun_ = false;
    std::chrono::steady_clock::time_point started_;
};

}  // namespace curserve
#endif
