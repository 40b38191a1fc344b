#!/usr/bin/env python3
"""Builds and runs a program of somebody else against the coroutine library, in a folder outside the repository.

    run.py WAY BUILD COMPILER

WAY: `find_package` or `pkg_config` (installs the component `coro` from the folder BUILD, and moves the installed tree before
it is used), `subdirectory` (a copy of src/coro, alone), `repository` (this whole repository below another project), `everything`
(all components), or `refused` (Asio versions that must not be taken). Ends with 77 when BUILD has not what it takes.
"""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
EXPECTED = "passed 3, alive 1\n"
# Without these a consumer's own coroutines overflow the stack, or free memory another way than the library's.
FLAGS = ("-foptimize-sibling-calls", "-DASIO_STANDALONE", "-DASIO_NO_DEPRECATED", "-DASIO_DISABLE_STD_ALIGNED_ALLOC")

FIND_PACKAGE = """
find_package(awm-coro 0.1 REQUIRED)
"""
SUBDIRECTORY = """
add_subdirectory({source} library)
"""
# A target `lint` and a test of its own: a library must not take names from, or add tests to, the project that uses it.
REPOSITORY_BELOW = """
enable_testing()
add_custom_target(lint)
add_subdirectory({source} library EXCLUDE_FROM_ALL)
if(TARGET coro_tests OR TARGET coro_bench)
  message(FATAL_ERROR "tests and benchmarks must be off below another project")
endif()
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
{library}
add_executable(consumer {main})
target_link_libraries(consumer PRIVATE awm::coro)
"""


def run(*command, env=None):
    command = [str(word) for word in command]
    done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)}\n{done.stdout}\nended with {done.returncode}")
    return done.stdout


def check(program):
    printed = run(program)
    if printed != EXPECTED:
        sys.exit(f"the program printed {printed!r} instead of {EXPECTED!r}")


def check_flags(flags):
    missing = [flag for flag in FLAGS if flag not in flags]
    if missing:
        sys.exit(f"a consumer is compiled without {missing}: {flags}")


def configure(folder, library, *options):
    source = folder / "consumer"
    source.mkdir()
    (source / "CMakeLists.txt").write_text(PROJECT.format(library=library, main=HERE / "main.cpp"))
    command = ["cmake", "-G", "Ninja", "-S", source, "-B", folder / "build", f"-DCMAKE_CXX_COMPILER={COMPILER}",
               "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options]
    return [str(word) for word in command]


def configure_and_check(folder, library, *options):
    run(*configure(folder, library, *options))
    commands = json.loads((folder / "build/compile_commands.json").read_text())
    check_flags(next(entry["command"] for entry in commands if entry["file"] == str(HERE / "main.cpp")))


def build(folder, library, *options):
    configure_and_check(folder, library, *options)
    run("cmake", "--build", folder / "build", "--target", "consumer")
    check(next(path for path in (folder / "build").rglob("consumer") if path.is_file()))


def installed(folder):
    """The tree of the component, moved after it was installed: nothing in it may know where it was."""
    run("cmake", "--install", BUILD, "--component", "coro", "--prefix", folder / "first")
    (folder / "first").rename(folder / "prefix")
    prefix = folder / "prefix"
    strays = [path for path in prefix.rglob("*") if path.is_file() and "awm" not in str(path.relative_to(prefix))]
    if strays or (prefix / "bin").exists():
        sys.exit(f"the component `coro` installs more than the library: {strays}")
    headers = {path.name for path in (prefix / "include/awm/coro").iterdir()}
    if headers != {path.name for path in (REPOSITORY / "src/coro").glob("*.hpp")}:
        sys.exit(f"installed headers: {sorted(headers)}")
    return prefix


def find_package(folder):
    build(folder, FIND_PACKAGE, f"-DCMAKE_PREFIX_PATH={installed(folder)}")


def pkg_config(folder):
    [file] = installed(folder).rglob("awm-coro.pc")
    env = dict(os.environ, PKG_CONFIG_PATH=str(file.parent))
    flags = run("pkg-config", "--cflags", "--libs", "awm-coro", env=env).split()
    check_flags(flags)
    run(COMPILER, "-std=c++20", HERE / "main.cpp", *flags, "-o", folder / "consumer")
    check(folder / "consumer")


def subdirectory(folder):
    shutil.copytree(REPOSITORY / "src/coro", folder / "coro")
    build(folder, SUBDIRECTORY.format(source=folder / "coro"))


def repository(folder):
    """Only what would be built is looked at: that it works, `subdirectory` shows."""
    configure_and_check(folder, REPOSITORY_BELOW.format(source=REPOSITORY))
    steps = run("ninja", "-C", folder / "build", "-t", "commands", "consumer")
    if "libawm-coro.a" not in steps or "awm_mcp" in steps:
        sys.exit(f"a consumer of awm::coro builds the library and nothing else of the repository:\n{steps}")


def everything(folder):
    """Without a component, the program is installed as well."""
    if not (pathlib.Path(BUILD) / "bin/async-worker-manager").exists():
        print("the program is not built")
        sys.exit(77)
    run("cmake", "--install", BUILD, "--prefix", folder)
    run(folder / "bin/async-worker-manager", "--version")
    if not list(folder.rglob("libawm-coro.a")):
        sys.exit("the library was not installed")


def refused(folder):
    """Another Asio than the one that the library was built against, and one that uses freed memory."""
    prefix = installed(folder)
    for number, reason in ((102400, "is not supported"), (199900, "was built against Asio")):
        case = folder / str(number)
        (case / "include/asio").mkdir(parents=True)
        (case / "include/asio/version.hpp").write_text(f"#define ASIO_VERSION {number} // {number // 100000}\n")
        command = configure(case, FIND_PACKAGE, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DAWM_ASIO_INCLUDE={case / 'include'}")
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode == 0 or reason not in " ".join(done.stdout.split()):
            sys.exit(f"Asio {number} was not refused for the right reason:\n{done.stdout}")


WAY, BUILD, COMPILER = sys.argv[1:]
with tempfile.TemporaryDirectory(prefix="awm-consumer-") as name:
    {way.__name__: way for way in (find_package, pkg_config, subdirectory, repository, everything, refused)}[WAY](pathlib.Path(name))
