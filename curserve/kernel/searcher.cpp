// searcher.cpp: see searcher.h. Chooses ripgrep's way of searching a file (windows of a read file, a mapped file, the
// whole of it for multi-line patterns) and its printer, and runs one with the other.
#include "searcher.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core.h"
#include "decode.h"
#include "json.h"
#include "line_buffer.h"
#include "printer.h"
#include "sink.h"
#include "summary.h"

namespace curserve {
namespace {

Binary binary_rule(const SearchSpec& spec, bool named) {
    if (spec.binary == CS_BINARY_TEXT || spec.line_terminator == CS_LINES_NUL) return Binary::kNone;
    return named || spec.binary == CS_BINARY_SEARCH ? Binary::kConvert : Binary::kQuit;
}

// Mapped files are, unless there is something to decode or a mark to take away.
bool searched_in_place(const SearchSpec& spec, const Content& content) {
    if (!spec.mmap || spec.encoding > CS_ENCODING_NONE) return false;
    return content.coding == Coding::kRaw || spec.encoding == CS_ENCODING_NONE;
}

// A file's text as ripgrep searches it.
struct Text {
    const uint8_t* bytes = nullptr;
    size_t size = 0;
    size_t first_nul = kNone;
    size_t peeked = 3;       // bytes that ripgrep's first read gives
    bool mapped = false;     // searched in place
    bool ascii = false;
    std::optional<Decoder> decoder;  // reads are those of decoded bytes
    Decoded decoded;
    struct {
        const uint8_t* bytes;
        size_t size, first;
        MultiByte encoding;
    } source{};  // of decoded.states, if there are any

    std::unique_ptr<Reads> reads() const {
        if (!decoded.states.empty()) {
            return std::make_unique<MultiByteReads>(source.bytes, source.size, source.first, source.encoding, decoded);
        }
        return decoder ? std::make_unique<DecodedReads>(bytes, decoded, *decoder) : nullptr;
    }
};

void use_decoded(Text* text, std::optional<Decoder> decoder, Decoded decoded) {
    text->decoded = std::move(decoded);
    text->bytes = text->decoded.text.data();
    text->size = text->decoded.text.size();
    text->first_nul = find_byte(text->bytes, 0, text->size, 0);
    text->decoder = decoder;
    text->ascii = text->ascii && std::all_of(text->bytes, text->bytes + text->size, [](uint8_t b) { return b < 0x80; });
}

// UTF-8 that needs no decoding, though ripgrep does it; a second mark, after the one of the file, is no text either.
void use_utf8(Text* text, size_t first) {
    text->decoder = Decoder::kUtf8;
    text->decoded.ends = ends_of_utf8(text->bytes, text->size, first);
    if (text->size < 3 || memcmp(text->bytes, "\xef\xbb\xbf", 3) != 0) return;
    text->bytes += 3;
    text->size -= 3;
    for (size_t& end : text->decoded.ends) end -= std::min<size_t>(end, 3);
    text->first_nul = find_byte(text->bytes, 0, text->size, 0);
}

Text text_of(const SearchSpec& spec, const Content& content) {
    Text text;
    text.bytes = content.data.data();
    text.size = content.data.size();
    text.first_nul = content.first_nul == kNoNul ? kNone : static_cast<size_t>(content.first_nul);
    text.ascii = content.ascii;
    text.mapped = searched_in_place(spec, content);
    if (content.coding == Coding::kUtf16) {  // the mark decides, whatever encoding was asked for
        text.peeked = 0;
        return text;
    }
    if (content.coding == Coding::kUtf16Raw && spec.encoding != CS_ENCODING_NONE) {
        use_decoded(&text, Decoder::kUtf16, decode_utf16_file(text.bytes, text.size));
        return text;
    }
    if (content.coding == Coding::kUtf8Bom && spec.encoding != CS_ENCODING_NONE) {
        text.bytes += 3;
        text.size -= 3;
        if (text.first_nul != kNone) text.first_nul -= 3;
        text.peeked = 0;
    }
    const size_t first = text.peeked != 0 ? text.peeked : kDecodedPiece;
    switch (spec.encoding) {
        case CS_ENCODING_AUTO:
        case CS_ENCODING_NONE: break;
        case CS_ENCODING_UTF8:
            if (text.ascii || is_utf8(text.bytes, text.size)) {
                use_utf8(&text, first);
            } else {
                use_decoded(&text, Decoder::kUtf8, decode_utf8(text.bytes, text.size, first));
            }
            break;
        case CS_ENCODING_UTF16LE:
        case CS_ENCODING_UTF16BE: {
            const bool big_endian = spec.encoding == CS_ENCODING_UTF16BE;
            use_decoded(&text, Decoder::kUtf16, decode_utf16(text.bytes, text.size, first, big_endian));
            break;
        }
        default:
            if (spec.encoding >= CS_ENCODING_MULTI_BYTE) {
                const auto encoding = static_cast<MultiByte>(spec.encoding - CS_ENCODING_MULTI_BYTE);
                if (!text.ascii || !extends_ascii(encoding)) {
                    text.source = {text.bytes, text.size, first, encoding};
                    use_decoded(&text, std::nullopt, decode_multi_byte(text.bytes, text.size, first, encoding));
                    break;
                }
            }
            if (text.ascii) {
                text.decoder = Decoder::kSingleByte;
                text.decoded.ends = ends_of_utf8(text.bytes, text.size, first);
            } else {
                use_decoded(&text, Decoder::kSingleByte,
                            decode_single_byte(text.bytes, text.size, first, spec.encoding));
            }
    }
    return text;
}

// A file that is read: window after window.
void search_windows(const Job& job, Text& text, Sink& sink, size_t* buffer_bytes) {
    if (job.binary == Binary::kConvert && text.first_nul != kNone) {
        std::vector<uint8_t>& made = text.decoded.text;
        if (text.bytes != made.data()) made.assign(text.bytes, text.bytes + text.size);
        std::replace(made.begin(), made.end(), uint8_t{0}, job.terminator.byte);
        text.bytes = made.data();
    }
    Core core(job, sink, text.bytes, text.size, false);
    const std::unique_ptr<Reads> reads = text.reads();
    LineBuffer buffer(text.bytes, text.size, job.terminator.byte, job.binary, text.first_nul, text.peeked, *buffer_bytes,
                      reads.get());
    for (;;) {
        const bool already_binary = buffer.found_binary();
        const size_t old_start = buffer.start(), old_end = buffer.end();
        const size_t next = core.roll(old_start, old_end);
        buffer.consume_to(next);
        const bool more = buffer.fill();
        if (!already_binary && buffer.found_binary() && !sink.binary_data(buffer.binary_offset())) break;
        if (!more || (buffer.found_binary() && job.binary == Binary::kQuit)) break;
        if (next == old_start && buffer.end() == old_end) {
            buffer.consume_to(old_end);  // nothing but context that nobody needs any more
            break;
        }
        if (!job.scratch.pace.spend(job.ranges == nullptr ? buffer.end() - buffer.start() : Pace::kOfCall)) break;
        if (!core.match_by_line(buffer.start(), buffer.end())) {
            buffer.consume_to(core.pos());
            break;
        }
    }
    *buffer_bytes = buffer.capacity();
    sink.finish(buffer.start(), buffer.found_binary() ? static_cast<int64_t>(buffer.binary_offset()) : -1);
}

uint64_t bytes_of_slice(const Core& core) {
    const int64_t binary = core.binary_offset();
    return binary >= 0 && static_cast<size_t>(binary) < core.pos() ? static_cast<uint64_t>(binary) : core.pos();
}

// A mapped file: one window, and NULs are looked for at its head and in the lines that are printed.
void search_slice(const Job& job, const Text& text, Sink& sink) {
    Core core(job, sink, text.bytes, text.size, true);
    if (!core.detect_binary({0, std::min(text.size, kBufferBytes)})) {
        while (core.pos() < text.size && !job.scratch.pace.over() && core.match_by_line(0, text.size)) {
        }
    }
    sink.finish(bytes_of_slice(core), core.binary_offset());
}

// -U with a pattern that may match a line terminator.
class MultiLineSearch {
  public:
    MultiLineSearch(const Job& job, const Text& text, Sink& sink)
        : job_(job), text_(text.bytes), size_(text.size), sink_(sink), core_(job, sink, text.bytes, text.size, true) {}

    void run() {
        if (!core_.detect_binary({0, std::min(size_, kBufferBytes)})) search();
        sink_.finish(bytes_of_slice(core_), core_.binary_offset());
    }

  private:
    void search() {
        bool going = true;
        while (core_.pos() < size_ && going && !job_.scratch.pace.over())
            going = job_.spec.invert_match ? step_inverted() : step();
        if (!going) return;
        if (pending_) {
            const Span last = *pending_;
            pending_.reset();
            if (context_before(last)) matched(last);
        }
        if (job_.spec.passthru) {
            core_.other_context(size_);
        } else {
            core_.after_context(size_);
        }
    }

    // Matches whose lines touch are sunk together, so a match waits until the next one is known.
    bool step() {
        Span match;
        if (!find(&match)) {
            core_.set_pos(size_);
            return true;
        }
        advance(match);
        const Span lines = locate_lines(text_, size_, job_.terminator.byte, match);
        if (!pending_) {
            pending_ = lines;
            return true;
        }
        if (pending_->end >= lines.start) {
            pending_->end = lines.end;
            return true;
        }
        const Span last = *pending_;
        pending_ = lines;
        return context_before(last) && matched(last);
    }

    bool step_inverted() {
        Span match, unmatched;
        if (find(&match)) {
            const Span lines = locate_lines(text_, size_, job_.terminator.byte, match);
            unmatched = {core_.pos(), lines.start};
            advance(lines);
        } else {
            unmatched = {core_.pos(), size_};
            core_.set_pos(size_);
        }
        if (unmatched.start >= unmatched.end) return true;
        if (!context_before(unmatched)) return false;
        LineStep step(job_.terminator.byte, unmatched.start, unmatched.end);
        Span line;
        while (step.next(text_, &line)) {
            if (!matched(line)) return false;
        }
        return true;
    }

    // What lies before the position is not seen, not even by look-behind: ripgrep's way.
    bool find(Span* match) {
        if (core_.at_limit()) return false;
        const size_t pos = core_.pos();
        *match = job_.matcher.find(text_ + pos, size_ - pos, 0, job_.ascii, job_.scratch, nullptr);
        if (match->start == kNone) return false;
        core_.count_match();
        match->start += pos;
        match->end += pos;
        return true;
    }

    void advance(Span match) {
        const bool step = match.start == match.end && match.end < size_;
        core_.set_pos(match.end + (step ? 1 : 0));
    }

    bool matched(Span lines) { return lines.start < lines.end && core_.sink_matched(lines); }

    bool context_before(Span lines) {
        if (job_.spec.passthru) return core_.other_context(lines.start);
        return core_.after_context(lines.start) && core_.before_context(lines.start);
    }

    const Job& job_;
    const uint8_t* text_;
    size_t size_;
    Sink& sink_;
    Core core_;
    std::optional<Span> pending_;
};

// Holds output back until it is known to be right.
class Held : public Output {
  public:
    bool append(const void* data, size_t size) override {
        text.append(static_cast<const char*>(data), size);
        return true;
    }
    uint64_t written() const override { return text.size(); }
    std::string text;
};

void run(const Job& job, Text& text, Sink& sink, size_t* buffer_bytes) {
    if (job.multi_line) {
        MultiLineSearch(job, text, sink).run();
    } else if (text.mapped) {
        search_slice(job, text, sink);
    } else {
        search_windows(job, text, sink, buffer_bytes);
    }
}

// Whether the source of a decoded text may end within a character (never false where it does). What then comes last
// depends on the room that was left for it, and ripgrep may lose some of it or all.
bool may_end_within(const SearchSpec& spec, const Content& content) {
    const auto& data = content.data;
    const size_t size = data.size();
    if (spec.encoding == CS_ENCODING_NONE || size == 0) return false;
    const uint8_t last = data[size - 1];
    const bool marked = content.coding == Coding::kUtf16 || content.coding == Coding::kUtf16Raw;
    const bool of_one_byte = spec.encoding >= CS_ENCODING_SINGLE_BYTE && spec.encoding < CS_ENCODING_MULTI_BYTE;
    if (!marked && (spec.encoding == CS_ENCODING_AUTO || of_one_byte)) return false;
    if (content.coding == Coding::kUtf16Raw || !content.whole) return true;
    if (content.coding == Coding::kUtf16) {
        return size >= 3 && memcmp(data.data() + size - 3, "\xef\xbf\xbd", 3) == 0;
    }
    if (spec.encoding == CS_ENCODING_UTF16LE || spec.encoding == CS_ENCODING_UTF16BE) {
        const auto surrogate = [](uint8_t byte) { return byte >= 0xd8 && byte <= 0xdb; };
        return size % 2 != 0 || surrogate(last) || surrogate(data[size - 2]);
    }
    if (spec.encoding == CS_ENCODING_UTF8) return !content.ascii && last != '\n';
    const bool ascii = content.ascii && extends_ascii(static_cast<MultiByte>(spec.encoding - CS_ENCODING_MULTI_BYTE));
    return !ascii && last != '\n';
}

// Whether it may show where ripgrep's reads of a file end: where it looks for NULs that are there, and where -m stops it
// in the midst of contexts.
bool reads_show(const SearchSpec& spec, const Matcher& matcher, const Content& content, bool named) {
    if (matcher.spec().multi_line) return false;
    if (spec.has_max_count && spec.after_context > 0) return true;
    return content.first_nul != kNoNul && binary_rule(spec, named) != Binary::kNone;
}

}  // namespace

bool needs_file(const SearchSpec& spec, const Matcher& matcher, const Content& content, bool named) {
    // The pieces that UTF-16 is decoded in are not known of its transcoding.
    const bool read_as_one = matcher.spec().multi_line;
    if (content.coding == Coding::kUtf16 &&
        (spec.encoding == CS_ENCODING_NONE || reads_show(spec, matcher, content, named) ||
         ((read_as_one || content.file_size_bytes >= kBufferBytes / 2) && may_end_within(spec, content)))) {
        return true;
    }
    if (content.whole) return false;
    if (matcher.spec().multi_line || content.first_nul == kNoNul || content.coding == Coding::kUtf16) return true;
    const bool windows = !(spec.mmap && spec.encoding <= CS_ENCODING_NONE);
    return !(windows && binary_rule(spec, named) == Binary::kQuit && spec.encoding <= CS_ENCODING_NONE);
}

FileResult search_content(const SearchSpec& spec, const Matcher& matcher, const Content& content, std::string_view path,
                          bool named, Scratch& scratch, Output& output, const std::vector<ByteRange>* ranges,
                          size_t* buffer_bytes) {
    FileResult result;
    size_t first_buffer = kBufferBytes;
    if (buffer_bytes == nullptr) buffer_bytes = &first_buffer;
    Text text = text_of(spec, content);
    const bool multi_line = matcher.spec().multi_line;
    // Ranges are of the content's own bytes and of lines that end with '\n'.
    const bool same = text.bytes == content.data.data() && text.first_nul == kNone;
    if (!same || spec.line_terminator == CS_LINES_NUL) ranges = nullptr;
    const Job job{spec,       matcher,    scratch, Terminator::of(spec), binary_rule(spec, named), multi_line,
                  text.ascii, ranges};
    if (needs_file(spec, matcher, content, named)) {
        result.unsure = "not_whole";
        return result;
    }
    if (multi_line && text.decoded.cut_short) {
        result.unsure = "buffers";
        return result;
    }

    std::string separated;
    if (spec.has_path_separator && spec.mode != CS_MODE_JSON) {
        separated.assign(path);
        std::replace(separated.begin(), separated.end(), '/', static_cast<char>(spec.path_separator));
        path = separated;
    }
    Held held;
    const bool clusters = spec.max_columns_preview && spec.has_max_columns && (!text.ascii || spec.has_replacement);
    const bool hold = clusters || (spec.mode == CS_MODE_JSON && job.multi_line);
    Writer out(hold ? held : output, &scratch.spare);
    const auto search = [&](Sink& sink) {
        run(job, text, sink, buffer_bytes);
        result.matched = sink.has_match();
        result.with_match = sink.searched_with_match;
        result.matches = sink.matches;
        result.matched_lines = sink.matched_lines;
        result.bytes_searched = sink.bytes_searched;
        result.bytes_printed = sink.bytes_printed;
        result.unsure = sink.unsure;
        result.separate = spec.single_threaded ? sink.printed_lines : out.total() > 0;
    };
    if (!spec.quiet && spec.mode == CS_MODE_STANDARD) {
        StandardPrinter printer(job, spec.with_filename ? path : std::string_view(), out);
        search(printer);
    } else if (!spec.quiet && spec.mode == CS_MODE_JSON) {
        JsonPrinter printer(job, path, out);
        search(printer);
    } else {
        SummaryPrinter printer(job, path, out);
        search(printer);
    }
    if (result.unsure != nullptr) {
        const char* unsure = result.unsure;
        result = FileResult();
        result.unsure = unsure;
        return result;
    }
    out.flush();
    result.printed = out.total() > 0;
    result.stopped = out.stopped();
    if (hold && !held.text.empty()) result.stopped = !output.append(held.text.data(), held.text.size());
    return result;
}

bool may_mind_buffer(const SearchSpec& spec, const Matcher& matcher, const Content& content, bool named) {
    if (searched_in_place(spec, content)) return false;
    if (matcher.spec().multi_line) return may_end_within(spec, content);
    // Text gets no more than three times as long when it is decoded.
    const uint64_t times = spec.encoding > CS_ENCODING_NONE ? 3 : 1;
    if (std::max<uint64_t>(content.data.size(), content.file_size_bytes) * times < kBufferBytes / 2) return false;
    if (may_end_within(spec, content)) return true;
    if (spec.has_max_count && spec.after_context > 0) return true;
    if (binary_rule(spec, named) == Binary::kNone) return false;
    if (content.coding == Coding::kUtf16 && spec.encoding == CS_ENCODING_NONE) return true;
    if (content.first_nul == kNoNul) return false;
    return spec.encoding > CS_ENCODING_NONE || content.first_nul >= static_cast<int64_t>(kBufferBytes / 2);
}

bool minds_buffer(const SearchSpec& spec, const Matcher& matcher, const Content& content, bool named, Scratch& scratch) {
    // The whole of a text is read into a buffer that grows by rules of its own.
    if (matcher.spec().multi_line) return text_of(spec, content).decoded.cut_short;
    Held first, other;
    size_t small = kBufferBytes, large = std::max(4 * content.data.size(), kBufferBytes);
    const FileResult a = search_content(spec, matcher, content, "x", named, scratch, first, nullptr, &small);
    const FileResult b = search_content(spec, matcher, content, "x", named, scratch, other, nullptr, &large);
    if (a.unsure != nullptr || b.unsure != nullptr) return false;  // declined anyway
    if (a.matched != b.matched || a.matches != b.matches || a.matched_lines != b.matched_lines) return true;
    // How much was searched is printed with a file's lines (JSON) and in statistics. Where several threads add up, that
    // is chance for ripgrep, too, and this one of its sums.
    const bool told = spec.stats != 0 && (spec.single_threaded != 0 || (spec.mode == CS_MODE_JSON && a.matched));
    if (told && a.bytes_searched != b.bytes_searched) return true;
    return spec.mode != CS_MODE_JSON && first.text != other.text;
}

bool may_grow_buffer(const SearchSpec& spec, const Content& content) {
    if (searched_in_place(spec, content)) return false;
    const Text searched = text_of(spec, content);
    const uint8_t* text = searched.bytes;
    const size_t size = searched.size;
    constexpr size_t room = kBufferBytes;  // a line shares it with contexts before it
    const uint8_t term = Terminator::of(spec).byte;
    if (spec.before_context == 0 && spec.after_context == 0) {
        for (size_t start = 0; size - start >= room;) {
            const size_t last = rfind_byte(text, start, start + room - 1, term);
            if (last == kNone) return true;
            start = last + 1;
        }
        return false;
    }
    std::deque<size_t> starts;  // of lines that share the buffer
    for (size_t start = 0; start < size && size - (starts.empty() ? start : starts.front()) >= room;) {
        starts.push_back(start);
        if (starts.size() > spec.before_context && starts.size() - spec.before_context > 2) starts.pop_front();
        const size_t hit = find_byte(text, start, size, term);
        start = hit == kNone ? size : hit + 1;
        if (start - starts.front() >= room) return true;
    }
    return false;
}

bool may_skip_unmatched(const SearchSpec& spec) {
    if (spec.invert_match || spec.passthru || spec.mode == CS_MODE_FILES_WITHOUT_MATCH) return false;
    const bool counts = spec.mode == CS_MODE_COUNT || spec.mode == CS_MODE_COUNT_MATCHES;
    return spec.quiet || !counts || !spec.include_zero;
}

uint64_t bytes_searched_without_match(const SearchSpec& spec, const Matcher& matcher, const Content& content,
                                      bool named) {
    const bool plain = spec.encoding <= CS_ENCODING_NONE;
    const Binary binary = binary_rule(spec, named);
    if (content.coding == Coding::kUtf16Raw) return kUnsureBytes;
    if (content.coding == Coding::kUtf16 ? spec.encoding == CS_ENCODING_NONE : !plain) return kUnsureBytes;
    if (matcher.spec().multi_line && content.coding == Coding::kUtf16 && may_end_within(spec, content)) {
        return kUnsureBytes;
    }
    const size_t mark = content.coding == Coding::kUtf8Bom && spec.encoding != CS_ENCODING_NONE ? 3 : 0;
    const size_t size = content.data.size() - mark;
    if (content.first_nul == kNoNul || binary == Binary::kNone) return content.whole ? size : kUnsureBytes;
    const size_t first_nul = static_cast<size_t>(content.first_nul) - mark;
    if (matcher.spec().multi_line || searched_in_place(spec, content)) {
        if (!content.whole) return kUnsureBytes;
        if (first_nul >= kBufferBytes) return size;
        return binary == Binary::kQuit ? 0 : first_nul;
    }
    if (content.coding == Coding::kUtf16) return kUnsureBytes;
    if (binary == Binary::kConvert) return content.whole ? size : kUnsureBytes;
    const uint8_t term = Terminator::of(spec).byte;
    LineBuffer buffer(content.data.data() + mark, size, term, binary, first_nul, mark != 0 ? 0 : 3);
    const uint64_t context = std::max(spec.before_context, spec.after_context);
    size_t start = 0, end = 0;
    for (;;) {
        start = context == 0 ? end : preceding_lines(content.data.data() + mark, start, end, term, spec.before_context);
        buffer.consume_to(start);
        if (!buffer.fill() || buffer.found_binary()) return buffer.start();
        end = buffer.end();
    }
}

void print_between(const SearchSpec& spec, Output& output) {
    if (spec.quiet || spec.mode != CS_MODE_STANDARD) return;
    Writer out(output);
    if (!spec.heading) {
        if (spec.before_context == 0 && spec.after_context == 0) return;
        if (!spec.has_context_separator) return;
        out.say(std::string_view(spec.context_separator, spec.context_separator_size));
    }
    // With several threads it is the writer of buffers that separates, and it knows no line terminators.
    out.say(spec.single_threaded ? Terminator::of(spec).bytes() : std::string_view("\n"));
    out.flush();
}

void print_end(const SearchSpec& spec, const Totals& totals, Output& output) {
    if (!spec.stats) return;
    Writer out(output);
    const auto field = [&](std::string_view name, uint64_t n) {
        out.say(name);
        out.number(n);
    };
    if (spec.mode == CS_MODE_JSON) {
        out.say("{\"data\":{\"elapsed_total\":");
        put_json_duration(out, totals.total_ns, true);
        field(",\"stats\":{\"bytes_printed\":", totals.bytes_printed);
        field(",\"bytes_searched\":", totals.bytes_searched);
        out.say(",\"elapsed\":");
        put_json_duration(out, totals.search_ns, true);
        field(",\"matched_lines\":", totals.matched_lines);
        field(",\"matches\":", totals.matches);
        field(",\"searches\":", totals.searches);
        field(",\"searches_with_match\":", totals.searches_with_match);
        out.say("}},\"type\":\"summary\"}\n");
        out.flush();
        return;
    }
    // The statistics go through the writer of buffers, too, which separates them as if they were a file's output.
    if (!spec.single_threaded && totals.printed) print_between(spec, output);
    const auto line = [&](uint64_t n, std::string_view what) {
        out.number(n);
        out.say(what);
    };
    out.say("\n");
    line(totals.matches, " matches\n");
    line(totals.matched_lines, " matched lines\n");
    line(totals.searches_with_match, " files contained matches\n");
    line(totals.searches, " files searched\n");
    line(totals.bytes_printed, " bytes printed\n");
    line(totals.bytes_searched, " bytes searched\n");
    put_seconds(out, totals.search_ns);
    out.say(" seconds spent searching\n");
    put_seconds(out, totals.total_ns);
    out.say(" seconds total\n");
    out.flush();
}

}  // namespace curserve
