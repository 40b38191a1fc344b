# Every dependency is a package of the distribution. A missing one ends the configuration with the package to install.

function(awm_require package debian_package)
  find_package(${package} QUIET ${ARGN})
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "${package} was not found: install ${debian_package} (scripts/setup installs all that is missing).")
  endif()
endfunction()

awm_require(Threads libc6-dev)
find_package(PkgConfig REQUIRED)
awm_require(simdjson libsimdjson-dev)
awm_require(nlohmann_json nlohmann-json3-dev)
awm_require(yaml-cpp libyaml-cpp-dev)
awm_require(CLI11 libcli11-dev)
awm_require(tomlplusplus libtomlplusplus-dev)
awm_require(spdlog libspdlog-dev)
if(AWM_TESTS)
  awm_require(GTest libgtest-dev)
endif()
if(AWM_BENCH)
  awm_require(benchmark libbenchmark-dev)
endif()

# libsodium has no CMake package.
pkg_check_modules(sodium QUIET IMPORTED_TARGET libsodium)
if(NOT sodium_FOUND)
  message(FATAL_ERROR "libsodium was not found: install libsodium-dev (scripts/setup installs all that is missing).")
endif()

find_path(AWM_VALIJSON_INCLUDE valijson/validator.hpp)
if(NOT AWM_VALIJSON_INCLUDE)
  message(FATAL_ERROR "valijson was not found: install libvalijson-dev (scripts/setup installs all that is missing).")
endif()
add_library(awm_valijson INTERFACE)
target_include_directories(awm_valijson SYSTEM INTERFACE ${AWM_VALIJSON_INCLUDE})

# Asio has no CMake package of its own. Between 1.22.1 and 1.30.2 cancelling a co_spawn can use freed memory.
find_path(AWM_ASIO_INCLUDE asio/version.hpp)
if(NOT AWM_ASIO_INCLUDE)
  message(FATAL_ERROR "Asio was not found: install libasio-dev (scripts/setup installs all that is missing).")
endif()
file(STRINGS ${AWM_ASIO_INCLUDE}/asio/version.hpp asio_version_line REGEX "#define ASIO_VERSION ")
string(REGEX MATCH "[0-9]+" asio_version "${asio_version_line}")
if(NOT asio_version EQUAL 102201 AND asio_version LESS 103002)
  message(FATAL_ERROR "Asio ${asio_version} in ${AWM_ASIO_INCLUDE} is not supported: install libasio-dev 1.22.1 or >= 1.30.2 "
                      "(versions between these can use freed memory when a coroutine is cancelled).")
endif()
add_library(awm_asio INTERFACE)
target_include_directories(awm_asio SYSTEM INTERFACE ${AWM_ASIO_INCLUDE})
# ASIO_DISABLE_STD_ALIGNED_ALLOC: Asio decides between aligned_alloc and operator new by a macro that libstdc++ defines, so by
# whether a standard header came before it. Two files that differ would free each other's memory the wrong way (found by ASan).
target_compile_definitions(awm_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_DISABLE_STD_ALIGNED_ALLOC)
target_link_libraries(awm_asio INTERFACE Threads::Threads)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND asio_version EQUAL 102201)
  # Asio 1.22.1 recognises coroutines in libstdc++ with g++ only.
  target_compile_definitions(awm_asio INTERFACE ASIO_HAS_CO_AWAIT ASIO_HAS_STD_COROUTINE)
endif()
