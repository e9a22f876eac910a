#!/bin/sh
# Builds tree_test with ASan and UBSan (SANITIZE=… overrides, "" for none) into BUILD_DIR (default: a fresh temporary
# one) and runs it: tests/kernel/tree_test.sh [SEED [ROUNDS]]
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD_DIR:-$(mktemp -d)}
mkdir -p "$build"
sanitize=${SANITIZE-address,undefined}
flags="-std=c++17 -O1 -g -Wall -Wextra -Wconversion -Werror -fvisibility=hidden ${sanitize:+-fsanitize=$sanitize}"
objects=
for file in archive archive_file archive_save segment_file mapped_file index index_build gram_query content git_index view watch walk \
            loader publish refresh rest tree decode select global_rules relative_git ignore room rule_stack glob glob_parse glob_set json; do
    source=curserve/kernel/$file.cpp
    object=$build/$file.o
    if [ ! -e "$object" ] || [ -n "$(find curserve/kernel -newer "$object" -name "$file.cpp" -o -newer "$object" -name '*.h')" ]; then
        g++ $flags -c "$source" -o "$object"
    fi
    objects="$objects $object"
done
g++ $flags tests/kernel/tree_test.cpp $objects -o "$build/tree_test" -pthread
"$build/tree_test" "$@"
[ -n "${BUILD_DIR:-}" ] || rm -r "$build"
