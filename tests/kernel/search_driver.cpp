// search_driver.cpp: the searcher and its printers, driven from a test without a daemon.
//
// In: on stdin, lines "key value" (numbers in decimal, byte strings in hex): fields of cs_search_spec and MatcherSpec
// by their names, "file HEXPATH NAMED" with "content HEXPATH-ON-DISK" before it, and "run". Out: for each run one line
// "UNSURE MATCHED SIZE SKIP" and SIZE bytes, what a daemon would print for these files. SKIP is 1 when
// bytes_searched_without_match disagreed with a search that found nothing. "run" forgets the files, "new" everything.
// Build: g++ -std=c++17 -O1 -g -fsanitize=address,undefined -Icurserve/kernel tests/kernel/search_driver.cpp
//        curserve/kernel/{searcher,printer,json,summary,decode,multi_byte,matcher,literal,re2_engine,vm,dfa}.cpp -lre2 -lpthread
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "decode.h"
#include "searcher.h"

namespace {

using namespace curserve;

std::string unhex(const std::string& hex) {
    std::string bytes;
    for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    return bytes;
}

// A Content as the store makes it.
Content make_content(std::vector<uint8_t> raw, bool keep_whole) {
    Content content;
    content.file_size_bytes = raw.size();
    const auto starts = [&](const char* mark, size_t size) {
        return raw.size() >= size && !memcmp(raw.data(), mark, size);
    };
    if (starts("\xef\xbb\xbf", 3)) content.coding = Coding::kUtf8Bom;
    if (starts("\xff\xfe", 2) || starts("\xfe\xff", 2)) {
        content.coding = keep_whole ? Coding::kUtf16Raw : Coding::kUtf16;
        if (!keep_whole) raw = decode_utf16_file(raw.data(), raw.size()).text;
    }
    const auto nul = std::find(raw.begin(), raw.end(), uint8_t{0});
    if (nul != raw.end()) {
        content.first_nul = nul - raw.begin();
        if (raw.size() > 65536 && !keep_whole && content.coding != Coding::kUtf16) {
            raw.erase(nul + 1, raw.end());
            content.whole = false;
        }
    }
    content.ascii = std::all_of(raw.begin(), raw.end(), [](uint8_t byte) { return byte < 0x80; });
    content.data = std::move(raw);
    return content;
}

class Collected : public Output {
  public:
    bool append(const void* data, size_t size) override {
        text.append(static_cast<const char*>(data), size);
        return true;
    }
    uint64_t written() const override { return text.size(); }
    std::string text;
};

std::vector<uint8_t> read_all(const std::string& path) {
    std::vector<uint8_t> bytes;
    FILE* file = fopen(path.c_str(), "rb");
    if (file == nullptr) return bytes;
    uint8_t block[65536];
    for (size_t size; (size = fread(block, 1, sizeof block, file)) > 0;) bytes.insert(bytes.end(), block, block + size);
    fclose(file);
    return bytes;
}

struct File {
    std::string path, disk;
    bool named;
};

struct Driver {
    cs_search_spec spec{};
    MatcherSpec matcher_spec;
    std::shared_ptr<const Matcher> matcher;
    std::map<std::string, std::string> strings;
    std::vector<File> files;
    std::string disk;

    void set_style(const std::string& name, const std::string& value) {
        const std::string bytes = unhex(value);
        cs_style* style = name == "path_style"     ? &spec.path_style
                          : name == "line_style"   ? &spec.line_style
                          : name == "column_style" ? &spec.column_style
                          : name == "match_style"  ? &spec.match_style
                                                   : &spec.highlight_style;
        if (bytes.size() == sizeof *style) memcpy(style, bytes.data(), sizeof *style);
    }

    void set(const std::string& key, const std::string& value) {
        const auto number = [&] { return std::stoull(value); };
#define TEXT_FIELD(name)                                  \
    if (key == #name) {                                   \
        spec.name = (strings[key] = unhex(value)).data(); \
        spec.name##_size = strings[key].size();           \
        return;                                           \
    }
        TEXT_FIELD(replacement)
        TEXT_FIELD(capture_names)
        TEXT_FIELD(context_separator)
        TEXT_FIELD(field_match_separator)
        TEXT_FIELD(field_context_separator)
#undef TEXT_FIELD
#define FIELD(name)                                          \
    if (key == #name) {                                      \
        spec.name = static_cast<decltype(spec.name)>(number()); \
        return;                                              \
    }
        FIELD(before_context) FIELD(after_context) FIELD(max_count) FIELD(mode) FIELD(quiet) FIELD(has_max_count)
        FIELD(invert_match) FIELD(passthru) FIELD(stop_on_nonmatch) FIELD(line_terminator) FIELD(binary) FIELD(encoding)
        FIELD(mmap) FIELD(single_threaded) FIELD(stats) FIELD(with_filename) FIELD(heading) FIELD(line_number)
        FIELD(column) FIELD(byte_offset) FIELD(only_matching) FIELD(vimgrep) FIELD(trim) FIELD(has_max_columns)
        FIELD(max_columns_preview) FIELD(has_replacement) FIELD(include_zero) FIELD(null_path) FIELD(has_path_separator)
        FIELD(path_separator) FIELD(color) FIELD(has_context_separator) FIELD(max_columns)
#undef FIELD
        if (key.size() > 6 && key.compare(key.size() - 6, 6, "_style") == 0) {
            set_style(key, value);
        } else if (key == "program") {
            const std::string bytes = unhex(value);
            matcher_spec.program.resize(bytes.size() / sizeof(Inst));
            memcpy(matcher_spec.program.data(), bytes.data(), bytes.size());
        } else if (key == "capture_slots") {
            matcher_spec.capture_slots = static_cast<uint32_t>(number());
        } else if (key == "matcher_terminator") {
            matcher_spec.line_terminator = static_cast<uint8_t>(number());
        } else if (key == "multi_line") {
            matcher_spec.multi_line = number() != 0;
        } else if (key == "re2_ascii") {
            matcher_spec.re2_ascii = unhex(value);
        } else if (key == "re2_bytes") {
            matcher_spec.re2_bytes = unhex(value);
        } else if (key == "re2_spans") {
            matcher_spec.re2_spans = number() != 0;
        } else if (key == "literal") {
            matcher_spec.literals.push_back(unhex(value));
        } else if (key == "literals_fold_ascii") {
            matcher_spec.literals_fold_ascii = number() != 0;
        } else if (key == "required") {
            matcher_spec.required.push_back(unhex(value));
        } else if (key == "required_fold_ascii") {
            matcher_spec.required_fold_ascii = number() != 0;
        } else if (key == "content") {
            disk = unhex(value);
        } else if (key == "file") {
            const size_t space = value.find(' ');
            files.push_back({unhex(value.substr(0, space)), disk, value[space + 1] == '1'});
        } else if (key == "run") {
            run();
        } else if (key == "new") {
            *this = Driver();
        } else {
            fprintf(stderr, "search_driver: no key %s\n", key.c_str());
            exit(2);
        }
    }

    // Whether there is a match anywhere, whatever binary rules and contexts make of it.
    bool has_match(const File& file, Scratch& scratch) {
        cs_search_spec plain{};
        plain.mode = CS_MODE_FILES_WITH_MATCHES;
        plain.line_terminator = spec.line_terminator;
        plain.encoding = spec.encoding;
        const Content content = make_content(read_all(file.disk), true);
        for (const uint8_t binary : {uint8_t{CS_BINARY_TEXT}, uint8_t{CS_BINARY_SEARCH}}) {
            plain.binary = binary;
            Collected nothing;
            const FileResult result =
                search_content(plain, *matcher, content, file.path, file.named, scratch, nothing);
            if (result.with_match) return true;
        }
        return false;
    }

    void run() {
        if (matcher == nullptr) matcher = Matcher::compile(matcher_spec);
        Scratch scratch;
        Collected all;
        Totals totals;
        bool matched = false, disagreed = false;
        const char* unsure = "-";
        for (const File& file : files) {
            Content content = make_content(read_all(file.disk), false);
            if (needs_file(spec, *matcher, content, file.named)) content = make_content(read_all(file.disk), true);
            Collected one;
            const FileResult result = search_content(spec, *matcher, content, file.path, file.named, scratch, one);
            if (result.unsure != nullptr) {
                unsure = result.unsure;
                break;
            }
            if (!result.with_match && may_skip_unmatched(spec) && !has_match(file, scratch)) {
                const uint64_t bytes = bytes_searched_without_match(spec, *matcher, content, file.named);
                disagreed = disagreed || (bytes != kUnsureBytes && bytes != result.bytes_searched);
            }
            Collected between;
            if (result.separate && totals.printed) print_between(spec, between);
            totals.add(spec, result, between.text.size());
            all.text += between.text + one.text;
            matched = matched || result.matched;
            if (matched && spec.quiet && !spec.stats) break;
        }
        print_end(spec, totals, all);
        printf("%s %d %zu %d\n", unsure, matched, all.text.size(), disagreed);
        fwrite(all.text.data(), 1, all.text.size(), stdout);
        fflush(stdout);
        files.clear();
    }
};

}  // namespace

int main() {
    Driver driver;
    std::string line;
    while (std::getline(std::cin, line)) {
        const size_t space = line.find(' ');
        driver.set(line.substr(0, space), space == std::string::npos ? "" : line.substr(space + 1));
    }
    return 0;
}
