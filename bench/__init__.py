"""The benchmarks: curserve beside ripgrep, measured in one run. `make bench`; see __main__.py."""
