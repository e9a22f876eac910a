// node.h: one name in a workspace, as the live tree holds it between two Views.
//
// Mutable, under the tree's mutex (while a gang loads, each directory's children belong to the job that lists it).
// Invariant: a directory's children are keyed by their own names; a node without a parent is the root or detached.
#ifndef CURSERVE_NODE_H
#define CURSERVE_NODE_H
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "view.h"
#include "walk.h"

namespace curserve {

struct Node;
using Children = std::map<std::string_view, std::unique_ptr<Node>>;  // sorted by bytes; keys look into Node::name

// What only a directory has.
struct DirPart {
    uint64_t id = 0;                // never reused; what watches and letters name
    int wd = -1;                    // inotify's; -1: not watched
    Listing listing = Listing::kUnlisted;
    bool lost = false;              // its watch died: it must be listed anew under a new id
    bool converted = false;         // git may convert the files below: their object ids are not their bytes'
    bool lazy = false;              // listed on demand only: its files are not loaded unasked
    Children children;
    DirRulesRef rules;              // null: contributes none
    std::vector<Source> sources;    // of those rules, where events do not reach
};

// Why a file is compared by stat at each barrier (bits). 0: events tell all (see the head of tree.cpp).
constexpr uint8_t kAppeared = 1;    // its name appeared, and no writer had closed it when a barrier first looked
constexpr uint8_t kYoung = 2;       // found by listing, soon after it changed
constexpr uint8_t kLinked = 4;      // more than one hard link
constexpr uint8_t kSurvivor = 8;    // the last of several hard links: a writer may hold it under one that is gone

constexpr uint32_t kNoSlot = 0xffffffffu;

struct Node {
    std::string name;
    Node* parent = nullptr;
    Facts facts;
    std::unique_ptr<DirPart> dir;   // of directories
    bool laid = false;              // the latest Shape has it under this path
    bool touched = false;           // ... but something in its subtree has come, gone or changed its listing or rules
    int error = 0;                  // errno of a failed listing or stat
    uint32_t slot = kNoSlot;        // of its facts in the Views, once published
    Kind kind = Kind::kOther;
    bool want = false;              // a file whose content is to be held
    bool racy = false;              // its stat does not vouch for the content held
    bool told = false;              // events told of its making: no unknown writer, however young it is
    uint8_t unsettled = 0;

    bool is_directory() const { return dir != nullptr; }
    Node* child(std::string_view key) const {
        const auto it = dir->children.find(key);
        return it == dir->children.end() ? nullptr : it->second.get();
    }
};

}  // namespace curserve
#endif
