#include "holdings.h"

#include <unordered_map>

#include "select.h"

namespace curserve {

std::vector<Holding> holdings(const std::vector<ViewRef>& views, const Snapshot& snapshot) {
    struct Count {
        uint32_t holders = 0, last = 0;  // last: the view that counted it last, from 1
    };
    std::unordered_map<const Content*, Count> counts;
    for (uint32_t number = 1; number <= views.size(); ++number) {
        const ViewRef& view = views[number - 1];
        if (view == nullptr) continue;
        for (Position p = 0; p < view->shape->size(); ++p) {
            const Content* content = view->facts(p).content.get();
            if (content == nullptr) continue;
            Count& count = counts[content];
            if (count.last == number) continue;
            count.last = number;
            ++count.holders;
        }
    }
    std::unordered_map<uint32_t, double> index_per_text;  // by segment
    for (const SegmentRef& segment : snapshot.segments) {
        index_per_text[segment->serial] =
            segment->text_bytes == 0 ? 0.0
                                     : static_cast<double>(segment->index_bytes()) / static_cast<double>(segment->text_bytes);
    }
    std::vector<Holding> result(views.size());
    const auto passed = static_cast<uint32_t>(views.size());
    for (uint32_t number = 1; number <= views.size(); ++number) {
        const ViewRef& view = views[number - 1];
        if (view == nullptr) continue;
        Holding& holding = result[number - 1];
        const Shape& shape = *view->shape;
        for (Position p = 0; p < shape.size(); ++p) {
            const Content* content = view->facts(p).content.get();
            if (content == nullptr) continue;
            Count& count = counts[content];
            if (count.last == passed + number) continue;
            count.last = passed + number;
            const uint64_t text = content->data.size();
            const auto place = index_per_text.find(static_cast<uint32_t>(content->index_place.load() >> 32));
            const auto index = place == index_per_text.end()
                                   ? uint64_t{0}
                                   : static_cast<uint64_t>(static_cast<double>(text) * place->second);
            holding.index_bytes += index;
            holding.share_bytes += (text + index) / count.holders;
            if (count.holders == 1) holding.own_bytes += text + index;
        }
        holding.table_bytes = shape.names.size() + view->chunks.size() * sizeof(View::Chunk) +
                              shape.size() * (sizeof(uint64_t) + 4 * sizeof(uint32_t) + sizeof(Kind) + sizeof(Listing) +
                                              sizeof(int));
        if (const auto locations = view->locations.load()) {
            holding.table_bytes += locations->entries.size() * sizeof(Locations::Entry);
        }
    }
    return result;
}

void drop_caches(const View& view) {
    forget_selections(*view.shape);
    view.locations.store(nullptr);
}

}  // namespace curserve
