// multi_byte.h: a decoder of the Asian encodings, which gives what it has when its room is used up and goes on later.
//
// In: a source in pieces, room for UTF-8. Out: UTF-8, U+FFFD for what cannot be decoded. Invariant: what is taken and
// given in each call is what decode_to_utf8 of encoding_rs 0.8.35 takes and gives: it wants the room of the largest
// character before most of them, and what it keeps between two calls may show. Tables: double_byte.h.
#ifndef CURSERVE_MULTI_BYTE_H
#define CURSERVE_MULTI_BYTE_H
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace curserve {

enum class MultiByte : uint8_t { kGb18030, kBig5, kEucJp, kShiftJis, kEucKr, kIso2022Jp, kUserDefined };

// By the Encoding Standard's name (gbk is decoded as gb18030 is); false: no such encoding.
bool multi_byte_named(std::string_view name, MultiByte* encoding);

// Whether ASCII stands for itself in it, wherever it stands alone.
constexpr bool extends_ascii(MultiByte encoding) {
    return encoding != MultiByte::kIso2022Jp && encoding != MultiByte::kUserDefined;
}

class MultiByteDecoder {
  public:
    explicit MultiByteDecoder(MultiByte encoding) : encoding_(encoding) {}

    // Decodes bytes[*at, end) and moves *at on. Writes to out, which has room for so many bytes, at least four; gives
    // how many it wrote. last: the source ends at `end`.
    size_t decode(const uint8_t* bytes, size_t* at, size_t end, bool last, uint8_t* out, size_t room);

    // The source must not end here: something is begun.
    bool unfinished() const { return held_size_ > 0; }

  private:
    struct Call;
    enum class Set : uint8_t { kAscii, kRoman, kKatakana, kJis0208 };
    enum class Step : uint8_t { kGoOn, kFull };

    Step extended_ascii(Call& call);
    Step go_on(Call& call);
    void lead(Call& call, uint8_t byte);
    bool pair(Call& call, uint8_t trail);
    bool gb18030(Call& call, uint8_t byte);
    void four_bytes(Call& call, uint8_t byte);
    Step iso2022_jp(Call& call);
    void escape(Call& call, uint8_t byte);
    void plain(Call& call, uint8_t byte);
    void finish(Call& call);
    void fail(Call& call);

    MultiByte encoding_;
    uint8_t held_size_ = 0;
    uint8_t held_[3] = {};      // of a sequence that is not complete
    uint8_t prepended_ = 0;     // was given back, and comes before what is left of the source
    Set set_ = Set::kAscii;     // of ISO-2022-JP
    bool just_chosen_ = false;  // there, by an escape sequence with nothing after it yet
};

}  // namespace curserve
#endif
