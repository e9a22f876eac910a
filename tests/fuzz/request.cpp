// request.cpp: what a client may send: a frame in pieces, read as the daemon reads it, and taken apart as the desk does.
//
// Input: a byte that says how it is cut in pieces, then the bytes that come over the socket.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "peer.h"
#include "plain_word.h"
#include "question.h"

using namespace curserve;

namespace {

// The answer to a frame that is not sound: nothing, or one whole DECLINE.
void check_answer(int fd) {
    uint8_t answer[4096];
    const ssize_t got = ::recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    if (got <= 0) return;
    cs_wire_head head;
    HOLDS(static_cast<size_t>(got) >= sizeof head);
    std::memcpy(&head, answer, sizeof head);
    HOLDS(head.magic == CS_WIRE_MAGIC && head.type == CS_WIRE_DECLINE);
    HOLDS(static_cast<size_t>(got) == sizeof head + head.size && head.size <= CS_WIRE_MAX_REASON);
}

void take_apart(const uint8_t* payload, size_t size) {
    const Question question(payload, size);
    const std::string key = question.key();
    uint32_t seen = 0;
    bool asked = false;
    question.each_argument([&](uint32_t slot, std::string_view argument) {
        HOLDS(slot == seen++);
        HOLDS(argument.find('\0') == std::string_view::npos);
        HOLDS(question.shape_key(slot, argument).size() == key.size() - argument.size() + sizeof slot);
        if (is_plain_word(argument) && !asked) {
            asked = true;
            WordRules rules;
            rules.letters = static_cast<WordRules::Case>(argument.size() % 3);
            rules.bounded = argument[0] < 'm';
            rules.unicode = argument[1] < 'm';
            HOLDS(ask_for_word(argument, rules).matcher != nullptr);
        }
        return true;
    });
    HOLDS(seen == question.argument_count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes in(data, size);
    const size_t piece = size_t{1} + in.byte();
    int ends[2];
    HOLDS(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    Incoming client;
    client.fd = ends[0];
    Reading reading = read_more(client);
    HOLDS(reading == Reading::kMore);
    while (reading == Reading::kMore && in.left() > 0) {
        const std::vector<uint8_t> some = in.take(piece * piece);
        HOLDS(::send(ends[1], some.data(), some.size(), MSG_DONTWAIT) == static_cast<ssize_t>(some.size()));
        reading = read_more(client);
    }
    HOLDS(client.room <= CS_WIRE_MAX_REQUEST);
    if (reading == Reading::kMore) {
        ::shutdown(ends[1], SHUT_WR);
        HOLDS(read_more(client) == Reading::kBad);
    }
    if (reading == Reading::kDone) take_apart(client.payload, client.head.size);
    if (reading == Reading::kBad) check_answer(ends[1]);
    std::free(client.payload);
    ::close(ends[0]);
    ::close(ends[1]);
    return 0;
}
