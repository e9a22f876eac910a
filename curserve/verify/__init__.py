"""Generated searches, and the comparison of two answers: for the fuzzer of the tests and `curserve verify DIR`."""
