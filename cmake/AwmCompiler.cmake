# One place for what every target of ours is compiled with.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.2)
  message(FATAL_ERROR "g++ ${CMAKE_CXX_COMPILER_VERSION} is too old: install g++ 12.2 or newer (Debian 12: apt-get install g++).")
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  message(FATAL_ERROR "clang ${CMAKE_CXX_COMPILER_VERSION} is too old: install clang 16 or newer (Debian 12: apt-get install clang-16).")
endif()

find_program(AWM_CCACHE ccache)
if(AWM_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${AWM_CCACHE})
endif()

add_library(awm_compiler INTERFACE)
target_compile_features(awm_compiler INTERFACE cxx_std_20)
target_compile_options(awm_compiler INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                       # Symmetric transfer is a tail call only with this; without it a loop of ready awaits overflows the stack.
                       -foptimize-sibling-calls)
if(AWM_WERROR)
  target_compile_options(awm_compiler INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports coroutine frames (uninitialised, mismatched delete), `"a" + string` (bug 105651) and vectors that are used
  # up from the back (nonheap); clang checks the same code without noise.
  target_compile_options(awm_compiler INTERFACE -Wno-maybe-uninitialized -Wno-mismatched-new-delete -Wno-restrict
                         -Wno-free-nonheap-object)
endif()
if(AWM_SANITIZE)
  target_compile_options(awm_compiler INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(awm_compiler INTERFACE -fsanitize=address,undefined)
endif()
