// select_driver.cpp: prints what select() chooses in a directory read from disk: the subject of tests/test_ignore_select.py.
//
// In: stdin, one request per NUL-terminated field list (see `Request`), the first field its verb. Out: per request the
// printed paths, each NUL-terminated, or "\x02reason", then an empty one. Reads the tree anew for every `root`; watches
// nothing.
// Build: g++ -std=c++17 -g -fsanitize=address,undefined -I curserve/kernel tests/kernel/select_driver.cpp
//        curserve/kernel/{glob,glob_parse,glob_set,ignore,rule_stack,global_rules,outside,relative_git,select,symlink,view,
//        walk,content,decode,multi_byte,json,literal,mapped_file}.cpp -o select_driver
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "select.h"

namespace {

using namespace curserve;

bool slurp(const std::string& path, std::string* out) {
    struct stat st{};
    if (stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
    std::ifstream in(path, std::ios::binary);
    out->assign(std::istreambuf_iterator<char>(in), {});
    return true;
}
RulesRef rules_in(const std::string& path) {
    std::string bytes;
    return slurp(path, &bytes) ? IgnoreRules::parse(bytes, false, nullptr) : nullptr;
}
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

DirRulesRef rules_of(const std::string& directory) {
    auto rules = std::make_shared<DirRules>();
    const std::string base = directory == "/" ? directory : directory + "/";
    rules->gitignore = rules_in(base + ".gitignore");
    rules->ignore = rules_in(base + ".ignore");
    rules->rgignore = rules_in(base + ".rgignore");
    struct stat st{};
    const bool git = stat((base + ".git").c_str(), &st) == 0;
    rules->git_is_file = git && S_ISREG(st.st_mode);
    rules->has_git = git || stat((base + ".jj").c_str(), &st) == 0;
    std::string git_dir = base + ".git", text;
    if (rules->git_is_file) {
        slurp(base + ".git", &text);
        git_dir = first_line(text);
        const std::string key = "gitdir: ";
        if (git_dir.compare(0, key.size(), key) != 0) return rules;
        git_dir = git_dir.substr(key.size());
        if (git_dir[0] != '/') {
            rules->relative_git_dir = git_dir;
            return rules;
        }
        if (!slurp(git_dir + "/commondir", &text)) return rules;
        const std::string common = first_line(text);
        git_dir = common[0] == '.' ? git_dir + "/" + common : common;
    }
    rules->exclude = rules_in(git_dir + "/info/exclude");
    return rules;
}

struct Loader {
    Shape& shape;
    Laid laid;
    std::vector<Facts>& facts;

    void add(const std::string& path, Position parent, Kind kind, uint64_t size) {
        laid.path_start.push_back(laid.names.size());
        laid.names.insert(laid.names.end(), path.begin(), path.end());
        laid.name_start.push_back(static_cast<uint32_t>(path.rfind('/') + 1));
        laid.parent.push_back(parent);
        laid.end.push_back(0);
        laid.kind.push_back(kind);
        laid.listing.push_back(Listing::kListed);
        laid.error.push_back(0);
        Facts f;
        f.size_bytes = size;
        facts.push_back(f);
    }
    void directory(const std::string& path, Position parent) {
        const auto p = laid.size();
        add(path, parent, Kind::kDirectory, 0);
        const std::string full = path.empty() ? shape.root : shape.root + "/" + path;
        const DirRulesRef rules = rules_of(full);
        if (!rules->empty()) shape.rules[p] = rules;
        std::vector<std::string> names;
        DIR* dir = opendir(full.c_str());
        while (const dirent* entry = dir ? readdir(dir) : nullptr) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") names.push_back(name);
        }
        if (dir) closedir(dir);
        std::sort(names.begin(), names.end());
        for (const std::string& name : names) {
            const std::string child = path.empty() ? name : path + "/" + name;
            struct stat st{};
            lstat((shape.root + "/" + child).c_str(), &st);
            if (S_ISDIR(st.st_mode)) directory(child, p);
            else
                add(child, p, S_ISREG(st.st_mode) ? Kind::kFile : S_ISLNK(st.st_mode) ? Kind::kSymlink : Kind::kOther,
                    static_cast<uint64_t>(st.st_size));
        }
        laid.end[p] = laid.size();
    }
};

ViewRef load(const std::string& root) {
    auto shape = std::make_shared<Shape>();
    std::vector<Facts> facts;
    shape->root = root;
    Loader loader{*shape, {}, facts};
    loader.directory("", kNowhere);
    Laid& laid = loader.laid;
    laid.path_start.push_back(laid.names.size());
    for (Position p = 0; p < laid.size(); ++p)
        if (laid.kind[p] != Kind::kDirectory) laid.end[p] = p + 1;
    shape->take(std::move(laid), false);
    for (size_t at = 0; at != std::string::npos && root != "/"; at = root.find('/', at + 1)) {
        const std::string above = at == 0 ? "/" : root.substr(0, at);
        shape->above.emplace_back(above, rules_of(above));
    }
    auto view = std::make_shared<View>();
    for (size_t p = 0; p < facts.size(); p += View::kChunk) {
        auto chunk = std::make_shared<View::Chunk>();
        for (size_t i = 0; i < View::kChunk && p + i < facts.size(); ++i) (*chunk)[i] = facts[p + i];
        view->chunks.push_back(chunk);
    }
    view->shape = std::move(shape);
    return view;
}

Start start_of(const Shape& shape, const std::string& cwd, const std::string& typed, bool implicit) {
    Start start;
    start.typed = typed;
    start.implicit = implicit;
    char resolved[PATH_MAX];
    const std::string full = typed.empty() ? cwd : typed[0] == '/' ? typed : cwd + "/" + typed;
    if (!realpath(full.c_str(), resolved)) resolved[0] = 0;
    const std::string path = resolved;
    if (path == shape.root) start.position = 0;
    else if (path.compare(0, shape.root.size() + 1, shape.root + "/") == 0)
        start.position = shape.find(path.substr(shape.root.size() + 1));
    else start.position = kNowhere;
    return start;
}

void say(const std::string& line) { std::cout << line << '\0'; }

}  // namespace

// Fields of a request: `root R` loads; `case CWD OPTION…` selects in what was loaded, with the options of ripgrep that
// matter here (already separated: "-g" "GLOB") and its path arguments; `time N CWD OPTION…` the same N times, uncached.
int main() {
    std::ios::sync_with_stdio(false);
    ViewRef view;
    std::string line;
    static uint64_t id = 0;
    while (std::getline(std::cin, line, '\0')) {
        std::vector<std::string> words;
        std::istringstream in(line);
        for (std::string word; std::getline(in, word, '\x01');) words.push_back(word);
        if (words[0] == "root") {
            view = load(words[1]);
            continue;
        }
        size_t at = 1;
        int times = 1;
        if (words[0] == "time") times = std::atoi(words[at++].c_str());
        Filter filter;
        filter.cwd = filter.ignore_files_base = words[at++];
        filter.id = ++id;
        std::vector<Overrides::Glob> globs, insensitive;
        std::vector<TypeFilter::Selection> types;
        std::vector<Start> starts;
        bool global = true;
        IgnoreSwitches& on = filter.switches;
        for (; at < words.size(); ++at) {
            const std::string& word = words[at];
            const auto value = [&]() -> const std::string& { return words[++at]; };
            if (word == "--hidden") on.hidden = true;
            else if (word == "--no-ignore") on.dot = on.vcs = on.exclude = on.global = on.parent = false;
            else if (word == "--no-ignore-dot") on.dot = false;
            else if (word == "--no-ignore-vcs") on.vcs = false;
            else if (word == "--no-ignore-exclude") on.exclude = false;
            else if (word == "--no-ignore-global") on.global = false;
            else if (word == "--no-ignore-parent") on.parent = false;
            else if (word == "--no-ignore-files") on.files = false;
            else if (word == "--no-require-git") on.require_git = false;
            else if (word == "--ignore-file-case-insensitive") filter.fold_case = true;
            else if (word == "--no-messages") filter.ignore_messages = false;
            else if (word == "-g") globs.push_back({value(), false});
            else if (word == "--iglob") insensitive.push_back({value(), true});
            else if (word == "--max-depth") filter.max_depth = std::atoi(value().c_str());
            else if (word == "--max-filesize") filter.max_filesize = std::atoi(value().c_str());
            else if (word == "--ignore-file") filter.ignore_files.push_back(rules_in(value()));
            else if (word == "-t" || word == "-T") {
                // The value is the type's globs, with '|' between them.
                TypeFilter::Selection selection{word == "-T", {}};
                std::istringstream list(value());
                for (std::string glob; std::getline(list, glob, '|');) selection.globs.push_back(glob);
                types.push_back(selection);
            } else starts.push_back(start_of(*view->shape, filter.cwd, word, false));
        }
        if (starts.empty()) starts.push_back(start_of(*view->shape, filter.cwd, "", true));
        globs.insert(globs.end(), insensitive.begin(), insensitive.end());
        std::string error;
        if (!globs.empty() && !(filter.overrides = Overrides::parse(globs, &error))) {
            say("\x02" + error);
            say("");
            std::cout.flush();
            continue;
        }
        if (!types.empty()) filter.types = TypeFilter::parse(types, &error);
        const char* home = std::getenv("HOME");
        const char* xdg = std::getenv("XDG_CONFIG_HOME");
        const char* config = std::getenv("GIT_CONFIG_GLOBAL");
        if (global) filter.global = GlobalRules::open(home ? home : "", home, xdg ? xdg : "", xdg, config ? config : "");
        const std::clock_t begun = std::clock();
        SelectionRef selection;
        for (int i = 0; i < times; ++i) {
            if (times > 1) filter.id = ++id;
            selection = select(view, filter, starts);
        }
        if (words[0] == "time") {
            // Processor time: the machine may be busy with others.
            const auto us_since = [](std::clock_t then, int runs) {
                return static_cast<double>(std::clock() - then) * 1e6 / CLOCKS_PER_SEC / runs;
            };
            const double us = us_since(begun, times);
            const std::clock_t again = std::clock();
            for (int i = 0; i < 1000; ++i) selection = select(view, filter, starts);
            const double cached = us_since(again, 1000);
            std::printf("%zu files of %u entries, %.0f us each, cached %.2f us\n", selection->files.size(),
                        view->shape->size(), us, cached);
            std::fflush(stdout);
            continue;
        }
        if (selection->uncertain) say(std::string("\x02") + selection->why_uncertain);
        else
            for (const Selected& file : selection->files)
                say(printed_path(*view, starts, file));
        say("");
        std::cout.flush();
    }
    return 0;
}
