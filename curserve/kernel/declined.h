// declined.h: a search that is left to the real rg, thrown by whatever finds out, before the first byte of an answer.
#ifndef CURSERVE_DECLINED_H
#define CURSERVE_DECLINED_H
#include <string>

namespace curserve {

struct Declined {
    std::string reason;
};

}  // namespace curserve
#endif
