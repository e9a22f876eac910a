// output.h: where printed bytes go, and the little writer printers use.
//
// In: bytes. Out: the same bytes in chunks, to an Output. Invariant: `count` is what this file printed so far, buffered
// bytes included. Knows numbers and styles (escape sequences), no files, no threads.
#ifndef CURSERVE_OUTPUT_H
#define CURSERVE_OUTPUT_H
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "spec.h"

namespace curserve {

// Where printed bytes go. append() returns false when nobody wants more (client gone): stop.
class Output {
  public:
    virtual ~Output() = default;
    virtual bool append(const void* data, size_t size) = 0;
    virtual uint64_t written() const = 0;  // bytes appended so far for this file
};

// The digits of a number, in `digits`.
inline std::string_view decimal(uint64_t n, char (&digits)[20]) {
    size_t at = sizeof digits;
    for (; n >= 100; n /= 100) {
        const uint64_t pair = n % 100;
        digits[--at] = static_cast<char>('0' + pair % 10);
        digits[--at] = static_cast<char>('0' + pair / 10);
    }
    digits[--at] = static_cast<char>('0' + n % 10);
    if (n >= 10) digits[--at] = static_cast<char>('0' + n / 10);
    return {digits + at, sizeof digits - at};
}

// Gathers small writes. flush() before the last look at the Output. What fits is copied in line; all else is out of line, so
// that a printer is little code: after another program has used the caches, each line of it is a wait for memory.
class Writer {
  public:
    using Buffer = std::unique_ptr<char[]>;
    // lender: null, or where the buffer is taken from, if there is one, and left in the end.
    explicit Writer(Output& out, Buffer* lender = nullptr) : out_(out), lender_(lender) {}
    ~Writer() {
        if (lender_ != nullptr && buffer_ != nullptr) *lender_ = std::move(buffer_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void put(std::string_view bytes) {
        if (bytes.size() > room_ - used_) return put_elsewhere(bytes);
        if (bytes.empty()) return;
        memcpy(buffer_.get() + used_, bytes.data(), bytes.size());
        used_ += bytes.size();
    }
    // The same as a call: for what is said once in a file.
    [[gnu::noinline]] void say(std::string_view bytes) { put(bytes); }
    void put(char byte) { put(std::string_view(&byte, 1)); }
    void put(const uint8_t* text, size_t from, size_t to) {
        put(std::string_view(reinterpret_cast<const char*>(text) + from, to - from));
    }
    [[gnu::noinline]] void number(uint64_t n) {
        char digits[20];
        put(decimal(n, digits));
    }
    // Room for `size` bytes to be written at once, then told of with took(); null: they would not fit, put() them.
    char* room(size_t size) {
        if (size > kSize) return nullptr;
        if (size > room_ - used_) make_room();
        return buffer_.get() + used_;
    }
    void took(size_t size) { used_ += size; }
    void flush() {
        if (used_ == 0) return;
        const size_t size = used_;
        used_ = 0;
        send(buffer_.get(), size);
    }
    // Bytes printed without escape sequences, which ripgrep does not count; and with them.
    uint64_t count() const { return sent_ + used_ - escapes_; }
    uint64_t total() const { return sent_ + used_; }
    bool stopped() const { return stopped_; }

    // The escape sequences of termcolor: a reset first, then attributes, then colours.
    void begin_style(const cs_style& style);
    void reset_style() { escape("\x1b[0m"); }
    // A piece in a style. A style without anything in it still resets before and after, as ripgrep's does.
    void styled(const cs_style& style, bool color, std::string_view bytes) {
        if (!color) {
            put(bytes);
            return;
        }
        begin_style(style);
        put(bytes);
        reset_style();
    }
    static bool is_plain(const cs_style& style) {
        return style.fg.kind == CS_COLOR_NONE && style.bg.kind == CS_COLOR_NONE && !style.bold && !style.intense &&
               !style.underline && !style.italic;
    }

  private:
    static constexpr size_t kSize = 16384;
    [[gnu::noinline]] void put_elsewhere(std::string_view bytes) {
        flush();
        if (bytes.size() >= kSize) {
            send(bytes.data(), bytes.size());
            return;
        }
        make_room();
        put(bytes);
    }
    [[gnu::noinline]] void make_room() {
        flush();
        if (buffer_ != nullptr) return;  // most files print nothing and need none
        if (lender_ != nullptr) buffer_ = std::move(*lender_);
        if (buffer_ == nullptr) buffer_.reset(new char[kSize]);
        room_ = kSize;
    }
    [[gnu::noinline]] void send(const char* data, size_t size) {
        sent_ += size;
        if (!stopped_ && !out_.append(data, size)) stopped_ = true;
    }
    [[gnu::noinline]] void escape(std::string_view bytes) {
        escapes_ += bytes.size();
        put(bytes);
    }
    void put_color(const cs_color& color, bool background, bool intense);

    Output& out_;
    Buffer* const lender_;
    size_t used_ = 0, room_ = 0;
    uint64_t sent_ = 0, escapes_ = 0;
    bool stopped_ = false;
    Buffer buffer_;
};

inline void Writer::put_color(const cs_color& color, bool background, bool intense) {
    if (color.kind == CS_COLOR_NONE) return;
    const uint64_t before = total();
    say(background ? "\x1b[4" : "\x1b[3");
    if (color.kind == CS_COLOR_NAMED && !intense) {
        number(color.r);
    } else if (color.kind == CS_COLOR_RGB) {
        say("8;2;");
        number(color.r);
        say(";");
        number(color.g);
        say(";");
        number(color.b);
    } else {
        say("8;5;");
        number(color.kind == CS_COLOR_NAMED ? color.r + 8u : color.r);
    }
    say("m");
    escapes_ += total() - before;
}

inline void Writer::begin_style(const cs_style& style) {
    escape("\x1b[0m");
    if (style.bold) escape("\x1b[1m");
    if (style.italic) escape("\x1b[3m");
    if (style.underline) escape("\x1b[4m");
    put_color(style.fg, false, style.intense != 0);
    put_color(style.bg, true, style.intense != 0);
}

}  // namespace curserve
#endif
