#pragma once
// The third seam: everything that the manager does to a file system goes through this interface, so that a simulation
// can fill the disk, cut a write short or crash at any call.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace awm::worker {

/// A file open for appending. Closing is the destructor's.
class output_file {
 public:
  output_file() = default;
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  virtual ~output_file() = default;

  /// Writes all of `bytes` behind what is there. On an error an unknown part of them may have been written.
  virtual std::error_code append(std::string_view bytes) = 0;

  /// Appends the bytes `[begin, end)` of the file at `source`, inside the kernel where it can.
  virtual std::error_code append_from(const std::filesystem::path& source, std::uint64_t begin, std::uint64_t end) = 0;
};

/// A file's bytes as they were when it was opened; large ones are mapped, not copied.
class file_view {
 public:
  file_view() = default;
  file_view(const file_view&) = delete;
  file_view& operator=(const file_view&) = delete;
  virtual ~file_view() = default;

  virtual std::string_view bytes() const = 0;
};

/// A lock that is held: until this is destroyed or the process ends, however it ends.
class file_lock {
 public:
  file_lock() = default;
  file_lock(const file_lock&) = delete;
  file_lock& operator=(const file_lock&) = delete;
  virtual ~file_lock() = default;
};

class files {
 public:
  files() = default;
  files(const files&) = delete;
  files& operator=(const files&) = delete;
  virtual ~files() = default;

  virtual bool is_directory(const std::filesystem::path& path) const = 0;
  virtual bool is_regular_file(const std::filesystem::path& path) const = 0;
  /// True for a regular file that this process may execute.
  virtual bool is_executable(const std::filesystem::path& path) const = 0;
  /// Equal to an earlier one as long as `path` leads to the same file, or directory, and that was not written to (or,
  /// for a directory, got and lost no entry); empty when there is none.
  virtual std::string stamp(const std::filesystem::path& path) const = 0;
  /// The whole file, or nothing when it cannot be read.
  virtual std::optional<std::string> read(const std::filesystem::path& path) const = 0;
  /// The whole file without reading it at once, or nothing when it cannot be opened.
  virtual std::unique_ptr<file_view> view(const std::filesystem::path& path) const = 0;
  /// The same for a file of this program's own, in a folder where others may put theirs: nothing, with `error` set, for
  /// a symbolic link, and for what belongs to another user or can be written by one.
  virtual std::unique_ptr<file_view> view_own(const std::filesystem::path& path, std::error_code& error) const {
    error = {};
    return view(path);
  }
  std::unique_ptr<file_view> view_own(const std::filesystem::path& path) const {
    std::error_code ignored;
    return view_own(path, ignored);
  }
  /// True while some process, this one included, has the file open that `create` returned.
  virtual bool is_being_written(const std::filesystem::path& path) const = 0;
  /// Regular files below `directory`, at any depth, whose name ends in `suffix`; sorted. Empty when there is no such
  /// directory.
  virtual std::vector<std::filesystem::path> find(const std::filesystem::path& directory,
                                                  std::string_view suffix) const = 0;

  /// Those of them that lie in `directory` itself.
  virtual std::vector<std::filesystem::path> list(const std::filesystem::path& directory,
                                                  std::string_view suffix) const = 0;

  /// Creates the directory, and its parents, with mode 0700 where they are missing, whatever the umask.
  virtual std::error_code create_directory(const std::filesystem::path& path) = 0;
  /// Creates or empties the file, mode 0600 whatever the umask, close-on-exec; `error` tells why nothing came back. What
  /// has that name and is no plain file of this user's alone (a link, another's file, one that others can write or that
  /// has another name as well, a pipe) is replaced, not written into.
  virtual std::unique_ptr<output_file> create(const std::filesystem::path& path, std::error_code& error) = 0;
  /// Opens the file to append to it, whoever else does; creates it where it is missing, mode 0600. Close-on-exec.
  /// `error` tells why nothing came back; `operation_not_permitted` or ELOOP for what is no plain file of this user's
  /// alone. It does not count as being written.
  virtual std::unique_ptr<output_file> open_append(const std::filesystem::path& path, std::error_code& error) = 0;
  /// Atomically gives the file at `from` the name `to`, replacing what had it.
  virtual std::error_code rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// Removes the file. No error when there is none.
  virtual std::error_code remove(const std::filesystem::path& path) = 0;

  /// Takes the lock number `key`, below 2^62, of the file at `path`, which is created (mode 0600) where it is missing
  /// and never removed. Nothing comes back while somebody holds it, this process included; `error` is set when it could
  /// not be tried.
  virtual std::unique_ptr<file_lock> try_lock(const std::filesystem::path& path, std::uint64_t key,
                                              std::error_code& error) = 0;
};

/// The number under which a worker is locked: the digits of its UUID, folded to 62 bits.
std::uint64_t lock_key(std::string_view worker_id);

/// The file system of this machine.
class system_files final : public files {
 public:
  bool is_directory(const std::filesystem::path& path) const override;
  bool is_regular_file(const std::filesystem::path& path) const override;
  bool is_executable(const std::filesystem::path& path) const override;
  std::string stamp(const std::filesystem::path& path) const override;
  std::optional<std::string> read(const std::filesystem::path& path) const override;
  std::unique_ptr<file_view> view(const std::filesystem::path& path) const override;
  using files::view_own;
  std::unique_ptr<file_view> view_own(const std::filesystem::path& path, std::error_code& error) const override;
  bool is_being_written(const std::filesystem::path& path) const override;
  std::vector<std::filesystem::path> find(const std::filesystem::path& directory,
                                          std::string_view suffix) const override;
  std::vector<std::filesystem::path> list(const std::filesystem::path& directory,
                                          std::string_view suffix) const override;
  std::error_code create_directory(const std::filesystem::path& path) override;
  std::unique_ptr<output_file> create(const std::filesystem::path& path, std::error_code& error) override;
  std::unique_ptr<output_file> open_append(const std::filesystem::path& path, std::error_code& error) override;
  std::error_code rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  std::error_code remove(const std::filesystem::path& path) override;
  std::unique_ptr<file_lock> try_lock(const std::filesystem::path& path, std::uint64_t key,
                                      std::error_code& error) override;

  struct lock_file;

 private:
  std::map<std::filesystem::path, std::weak_ptr<lock_file>> lock_files_;
};

}  // namespace awm::worker
