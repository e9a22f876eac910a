// shortlist.h: what a search of one selection comes to before its pattern is known: which files it must look at in any
// case, and what all others count for as files without a match.
//
// In: a View, a Selection, where its contents stand in the index, and what of the question decides how a file without a
// match is counted (Rules). Out: for the candidates of one pattern the files to be searched, in order, and the counts of
// the others, at the cost of the candidates and not of the selection (0.5 ms for Django's 6,800 files with cold caches).
// Invariant: choose() says what asking of each file in turn would. Immutable; kept with its Selection (select.h).
#ifndef CURSERVE_SHORTLIST_H
#define CURSERVE_SHORTLIST_H
#include <cstdint>
#include <memory>
#include <vector>

#include "index.h"
#include "matcher.h"
#include "select.h"
#include "spec.h"

namespace curserve {

class Shortlist {
  public:
    // All of a question that bytes_left_out() looks at.
    struct Rules {
        uint64_t before_context, after_context;
        uint8_t line_terminator, binary, encoding, mmap, single_threaded, multi_line;
        static Rules of(const SearchSpec& spec, const Matcher& matcher);
        bool operator==(const Rules& o) const {
            return before_context == o.before_context && after_context == o.after_context &&
                   line_terminator == o.line_terminator && binary == o.binary && encoding == o.encoding &&
                   mmap == o.mmap && single_threaded == o.single_threaded && multi_line == o.multi_line;
        }
    };

    // What a file that the index rules out adds to the bytes searched; kUnsureBytes: it must be searched all the same.
    // Only if may_skip_unmatched(spec).
    static uint64_t bytes_left_out(const SearchSpec& spec, const Matcher& matcher, const View& view,
                                   const Locations& locations, Position position, bool named);

    Shortlist(const SearchSpec& spec, const Matcher& matcher, const View& view, const Selection& selection,
              const std::vector<Start>& starts, const std::shared_ptr<const Locations>& locations);

    // Whether it was made of all this.
    bool fits(const Rules& rules, const std::shared_ptr<const Locations>& locations) const {
        return rules_ == rules && made_for_.lock() == locations;
    }

    struct Choice {
        std::vector<uint32_t> files;       // places in selection.files, ascending: to be searched
        uint64_t left_out = 0, bytes = 0;  // the number of the others, and what they add to the bytes searched
    };
    // False: the candidates are too many for this to pay, or unknown; nothing is said.
    bool choose(const SearchSpec& spec, const Matcher& matcher, const View& view, const Selection& selection,
                const Candidates& candidates, Choice* out) const;

  private:
    // The files of one segment of the index, by the number of their content: files[first[n], first[n + 1]).
    struct Holders {
        std::vector<uint32_t> first, files;
    };
    const Rules rules_;
    const std::weak_ptr<const Locations> made_for_;  // weak: they hold an index, perhaps an old one
    std::vector<uint64_t> always_;         // a bit for each file that must be searched
    std::vector<Holders> by_slot_;         // [0]: nothing, as in Locations; without the files of always_
    uint64_t others_ = 0, bytes_ = 0;      // files without such a bit, and what they count for without a match
};

}  // namespace curserve
#endif
