# What the library needs, asked alike where it is built and where an installed one is found (awm-coro-config.cmake).
# Sets awm_coro_unmet to the reason why it cannot be used here, or to nothing, and awm_coro_asio_version. Makes the target
# awm::asio: Asio, which has no CMake package of its own, with what every file that includes it must be compiled with.
# AWM_ASIO_INCLUDE names the folder that holds asio/version.hpp, if it is not where the compiler looks.
set(awm_coro_unmet "")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12.2)
  set(awm_coro_unmet "g++ ${CMAKE_CXX_COMPILER_VERSION} is too old: install g++ 12.2 or newer (Debian 12: apt-get install g++).")
  return()
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  set(awm_coro_unmet "clang ${CMAKE_CXX_COMPILER_VERSION} is too old: install clang 16 or newer (Debian 12: apt-get install clang-16).")
  return()
endif()

if(NOT TARGET Threads::Threads)
  find_package(Threads QUIET ${awm_coro_scope})
  if(NOT Threads_FOUND)
    set(awm_coro_unmet "Threads was not found: install libc6-dev.")
    return()
  endif()
endif()

find_path(AWM_ASIO_INCLUDE asio/version.hpp)
if(NOT AWM_ASIO_INCLUDE)
  set(awm_coro_unmet "Asio was not found: install libasio-dev, or name its folder in AWM_ASIO_INCLUDE.")
  return()
endif()
file(STRINGS ${AWM_ASIO_INCLUDE}/asio/version.hpp awm_coro_asio_version REGEX "#define ASIO_VERSION ")
string(REGEX MATCH "[0-9]+" awm_coro_asio_version "${awm_coro_asio_version}")
# Between these two, cancelling a co_spawn can use freed memory.
if(NOT awm_coro_asio_version EQUAL 102201 AND awm_coro_asio_version LESS 103002)
  set(awm_coro_unmet "Asio ${awm_coro_asio_version} in ${AWM_ASIO_INCLUDE} is not supported: install libasio-dev 1.22.1 or >= 1.30.2 "
                     "(versions between these can use freed memory when a coroutine is cancelled).")
  string(CONCAT awm_coro_unmet ${awm_coro_unmet})
  return()
endif()

if(NOT TARGET awm::asio)
  add_library(awm::asio INTERFACE IMPORTED ${awm_coro_scope})
  target_include_directories(awm::asio INTERFACE ${AWM_ASIO_INCLUDE})
  # ASIO_DISABLE_STD_ALIGNED_ALLOC: Asio decides between aligned_alloc and operator new by a macro that libstdc++ defines, so by
  # whether a standard header came before it. Two files that differ would free each other's memory the wrong way (found by ASan).
  target_compile_definitions(awm::asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_DISABLE_STD_ALIGNED_ALLOC)
  target_link_libraries(awm::asio INTERFACE Threads::Threads)
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND awm_coro_asio_version EQUAL 102201)
    # Asio 1.22.1 recognises coroutines in libstdc++ with g++ only.
    target_compile_definitions(awm::asio INTERFACE ASIO_HAS_CO_AWAIT ASIO_HAS_STD_COROUTINE)
  endif()
endif()
