# One place for what every target of ours is compiled with. Which compilers there may be: src/coro/cmake/requirements.cmake.

find_program(AWM_CCACHE ccache)
if(AWM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${AWM_CCACHE})
endif()

add_library(awm_compiler INTERFACE)
target_compile_features(awm_compiler INTERFACE cxx_std_20)
target_compile_options(awm_compiler INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(AWM_WERROR)
  target_compile_options(awm_compiler INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports coroutine frames (uninitialised, mismatched delete), `"a" + string` (bug 105651), vectors that are used
  # up from the back (nonheap) and, behind precompiled headers, strings of the library itself (stringop, array-bounds);
  # clang and the sanitizers check the same code without noise.
  target_compile_options(awm_compiler INTERFACE -Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-restrict
                         -Wno-free-nonheap-object -Wno-stringop-overflow -Wno-array-bounds)
endif()
# A template-heavy program has much that nobody calls; what is not there is not read into memory.
target_compile_options(awm_compiler INTERFACE -ffunction-sections -fdata-sections)
target_link_options(awm_compiler INTERFACE -Wl,--gc-sections)
if(AWM_SANITIZE)
  # Without `vptr`: to look at an object it opens a pipe, and where there is no descriptor left, as some tests have it, it
  # takes that for an object that is none.
  target_compile_options(awm_compiler INTERFACE -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined
                         -fno-omit-frame-pointer)
  target_link_options(awm_compiler INTERFACE -fsanitize=address,undefined)
endif()
if(AWM_FUZZ)
  # The product tells libFuzzer which ways it takes; main() is libFuzzer's, in the fuzzers alone.
  target_compile_options(awm_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()
