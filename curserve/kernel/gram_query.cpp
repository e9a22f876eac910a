// gram_query.cpp: unpacking and simplifying. The format, version 1: the byte 1, then one node. A node is '*' (anything),
// '-' (nothing), 'L' u32 size, bytes (a folded literal), '&' or '|' u32 count, nodes. Numbers are little endian.
#include "gram_query.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace curserve {
namespace {

using Kind = GramQuery::Kind;
using Node = GramQuery::Node;

constexpr uint8_t kVersion = 1;
constexpr int kDepthMost = 64;
// Larger trees cost more to ask than they save. Arbitrary; a literal costs a few microseconds on a large tree.
constexpr size_t kNodesMost = 1024;

class Unpacker {
  public:
    explicit Unpacker(std::string_view packed) : rest_(packed) {}

    Node whole() {
        if (take() != kVersion) throw std::runtime_error("a gram query of an unknown version");
        Node root = node(0);
        if (!rest_.empty()) throw std::runtime_error("a gram query with bytes after its end");
        if (nodes_ > kNodesMost) root = Node();
        return root;
    }

  private:
    uint8_t take() {
        if (rest_.empty()) throw std::runtime_error("a gram query that ends early");
        const auto byte = static_cast<uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return byte;
    }

    uint32_t number() {
        uint32_t value = 0;
        for (int shift = 0; shift < 32; shift += 8) value |= static_cast<uint32_t>(take()) << shift;
        return value;
    }

    Node node(int depth) {
        if (depth > kDepthMost) throw std::runtime_error("a gram query that is too deep");
        ++nodes_;
        switch (take()) {
            case '*': return Node();
            case '-': return Node{Kind::kNothing, {}, {}};
            case 'L': return literal();
            case '&': return all(depth);
            case '|': return one(depth);
            default: throw std::runtime_error("a gram query with an unknown node");
        }
    }

    Node literal() {
        const size_t size = number();
        if (size > rest_.size()) throw std::runtime_error("a gram query that ends early");
        const auto* text = reinterpret_cast<const uint8_t*>(rest_.data());
        Node made{Kind::kAll, {}, {}};
        made.grams.reserve(size);
        for (size_t i = 0; i + 3 <= size; ++i) {
            const GramKey key = gram_key(text + i);
            if (key != kNoGram) made.grams.push_back(key);
        }
        rest_.remove_prefix(size);
        return simple(std::move(made));
    }

    Node all(int depth) {
        Node made{Kind::kAll, {}, {}};
        bool nothing = false;
        for (uint32_t left = number(); left > 0; --left) {
            Node sub = node(depth + 1);
            if (sub.kind == Kind::kAny) continue;
            nothing = nothing || sub.kind == Kind::kNothing;
            if (sub.kind != Kind::kAll) {
                made.subs.push_back(std::move(sub));
                continue;
            }
            made.grams.insert(made.grams.end(), sub.grams.begin(), sub.grams.end());
            for (Node& inner : sub.subs) made.subs.push_back(std::move(inner));
        }
        return nothing ? Node{Kind::kNothing, {}, {}} : simple(std::move(made));
    }

    Node one(int depth) {
        Node made{Kind::kOne, {}, {}};
        bool any = false;
        for (uint32_t left = number(); left > 0; --left) {
            Node sub = node(depth + 1);
            any = any || sub.kind == Kind::kAny;
            if (sub.kind != Kind::kNothing) made.subs.push_back(std::move(sub));
        }
        if (any) return Node();
        if (made.subs.empty()) return Node{Kind::kNothing, {}, {}};
        if (made.subs.size() > 1) return made;
        Node only = std::move(made.subs.front());
        return only;
    }

    static Node simple(Node made) {
        std::sort(made.grams.begin(), made.grams.end());
        made.grams.erase(std::unique(made.grams.begin(), made.grams.end()), made.grams.end());
        if (made.grams.empty() && made.subs.empty()) return Node();
        if (made.grams.empty() && made.subs.size() == 1) {
            Node only = std::move(made.subs.front());
            return only;
        }
        return made;
    }

    std::string_view rest_;
    size_t nodes_ = 0;
};

void append(const Node& node, std::string* out) {
    switch (node.kind) {
        case Kind::kAny: *out += '*'; return;
        case Kind::kNothing: *out += '-'; return;
        case Kind::kAll: *out += "&(" + std::to_string(node.grams.size()); break;
        case Kind::kOne: *out += "|("; break;
    }
    for (const Node& sub : node.subs) {
        if (out->back() != '(') *out += ' ';
        append(sub, out);
    }
    *out += ')';
}

}  // namespace

GramQuery GramQuery::unpack(std::string_view packed) {
    GramQuery query;
    if (!packed.empty()) query.root_ = Unpacker(packed).whole();
    return query;
}

std::string GramQuery::text() const {
    std::string out;
    append(root_, &out);
    return out;
}

}  // namespace curserve
