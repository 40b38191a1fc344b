# A third to a half of a compilation here is reading the same headers of others. They are read once for the libraries and once
# for the tests. Only others' headers: a file of ours that is changed must not compile everything anew. The clang preset goes
# without, so that a file which forgets an include is found.
option(AWM_PCH "Precompile the headers of dependencies" ON)
if(NOT AWM_PCH)
  function(awm_add_precompiled name)
  endfunction()
  function(awm_precompile target)
  endfunction()
  return()
endif()

if(AWM_CCACHE)
  # What ccache must be told to cache what is compiled with precompiled headers (its manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${AWM_CCACHE})
endif()

set(awm_pch_headers
  <algorithm> <array> <charconv> <chrono> <coroutine> <filesystem> <functional> <list> <map> <memory> <optional> <set> <span>
  <string> <string_view> <system_error> <utility> <variant> <vector>
  <asio/any_io_executor.hpp> <asio/awaitable.hpp> <asio/bind_cancellation_slot.hpp> <asio/buffer.hpp>
  <asio/cancellation_signal.hpp> <asio/co_spawn.hpp> <asio/detached.hpp> <asio/executor_work_guard.hpp> <asio/io_context.hpp>
  <asio/posix/stream_descriptor.hpp> <asio/post.hpp> <asio/steady_timer.hpp> <asio/this_coro.hpp> <asio/use_awaitable.hpp>
  <nlohmann/json.hpp>)

# The options of a target that reuses precompiled headers must be those they were made with.
function(awm_add_precompiled name)
  file(CONFIGURE OUTPUT ${name}.cpp CONTENT "// Gives the precompiled headers a target.\n")
  add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE awm::coro nlohmann_json::nlohmann_json awm_compiler)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${name} PRIVATE -fpch-preprocess)
  endif()
  target_precompile_headers(${name} PRIVATE ${awm_pch_headers} ${ARGN})
endfunction()

# awm_precompile(target [TESTS])
function(awm_precompile target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TESTS" "" "")
  set(from awm_pch)
  if(arg_TESTS)
    set(from awm_tests_pch)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${from})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
