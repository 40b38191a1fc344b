#include "worker/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

namespace awm::worker {
namespace {

namespace fs = std::filesystem;

std::error_code last_error() {
  return {errno, std::generic_category()};
}

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::error_code write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return last_error();
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

constexpr ::mode_t private_file = 0600;
constexpr ::mode_t private_folder = 0700;

/// Whether nobody else can have written to the file: in a folder where others may write, anything may have the name that
/// is to be ours. Root's are as good as one's own.
bool is_trusted(const struct stat& status) {
  const bool is_ours = status.st_uid == ::geteuid() || status.st_uid == 0;
  return is_ours && S_ISREG(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Whether it can be written into as a file of this program's: what is behind another name as well, or is another
/// user's, is not.
bool is_own(const struct stat& status) {
  return is_trusted(status) && status.st_uid == ::geteuid() && status.st_nlink == 1;
}

/// Opens the file to write to it, and creates it where it is missing. An odd umask would leave it unreadable to
/// ourselves, or readable to others. Returns -1, with errno, also for what is no plain file of this user's alone.
int open_own(const fs::path& path, int flags) {
  // Emptied is only what is known to be ours.
  const bool is_to_be_emptied = (flags & O_TRUNC) != 0;
  const int how = (flags & ~O_TRUNC) | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const int fd = ::open(path.c_str(), how, private_file);
  if (fd < 0) return fd;
  struct stat status {};
  errno = EPERM;
  bool is_ready = ::fstat(fd, &status) == 0 && is_own(status);
  if (is_ready && (status.st_mode & ALLPERMS) != private_file) is_ready = ::fchmod(fd, private_file) == 0;
  if (is_ready && is_to_be_emptied && status.st_size > 0) is_ready = ::ftruncate(fd, 0) == 0;
  if (is_ready) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

class mapped_file final : public file_view {
 public:
  mapped_file(const void* data, std::size_t size) : data_(data), size_(size) {}
  ~mapped_file() override {
    if (size_ > 0) ::munmap(const_cast<void*>(data_), size_);
  }
  std::string_view bytes() const override { return {static_cast<const char*>(data_), size_}; }

 private:
  const void* data_;
  std::size_t size_;
};

class system_output_file final : public output_file {
 public:
  explicit system_output_file(int fd) : file_(fd) {}

  std::error_code append(std::string_view bytes) override { return write_all(file_.get(), bytes); }

  std::error_code append_from(const fs::path& source, std::uint64_t begin, std::uint64_t end) override {
    const descriptor from(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!from.is_open()) return last_error();
    auto offset = static_cast<loff_t>(begin);
    while (std::cmp_less(offset, end)) {
      const auto copied =
          ::copy_file_range(from.get(), &offset, file_.get(), nullptr, end - static_cast<std::uint64_t>(offset), 0);
      if (copied < 0 && errno == EINTR) continue;
      if (copied < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
        return copy_by_hand(from.get(), static_cast<std::uint64_t>(offset), end);
      }
      if (copied < 0) return last_error();
      if (copied == 0) return std::make_error_code(std::errc::io_error);  // shorter than the caller was told
    }
    return {};
  }

 private:
  std::error_code copy_by_hand(int from, std::uint64_t offset, std::uint64_t end) {
    std::string buffer(std::size_t{64} * 1024, '\0');
    while (offset < end) {
      const auto wanted = std::min<std::uint64_t>(buffer.size(), end - offset);
      const auto count = ::pread(from, buffer.data(), wanted, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return last_error();
      if (count == 0) return std::make_error_code(std::errc::io_error);
      if (const auto error = write_all(file_.get(), {buffer.data(), static_cast<std::size_t>(count)})) return error;
      offset += static_cast<std::uint64_t>(count);
    }
    return {};
  }

  descriptor file_;
};

class system_file_lock final : public file_lock {
 public:
  system_file_lock(std::shared_ptr<system_files::lock_file> file, std::uint64_t key)
      : file_(std::move(file)), key_(key) {}
  ~system_file_lock() override;

 private:
  std::shared_ptr<system_files::lock_file> file_;
  std::uint64_t key_;
};

/// The regular files among the entries whose name ends in `suffix`, sorted.
template <class Iterator>
std::vector<fs::path> matching(Iterator entry, std::string_view suffix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (; !error && entry != Iterator(); entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().native().ends_with(suffix) && fs::is_regular_file(entry->path(), ignored)) {
      found.push_back(entry->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

bool system_files::is_directory(const fs::path& path) const {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool system_files::is_regular_file(const fs::path& path) const {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool system_files::is_executable(const fs::path& path) const {
  return is_regular_file(path) && ::access(path.c_str(), X_OK) == 0;
}

std::string system_files::stamp(const fs::path& path) const {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  std::string text;
  for (const std::uint64_t part :
       {std::uint64_t{found.st_dev}, std::uint64_t{found.st_ino}, static_cast<std::uint64_t>(found.st_size),
        static_cast<std::uint64_t>(found.st_mtim.tv_sec), static_cast<std::uint64_t>(found.st_mtim.tv_nsec),
        static_cast<std::uint64_t>(found.st_ctim.tv_sec), static_cast<std::uint64_t>(found.st_ctim.tv_nsec)}) {
    text += std::to_string(part) + " ";
  }
  return text;
}

std::optional<std::string> system_files::read(const fs::path& path) const {
  const auto file = view(path);
  if (!file) return std::nullopt;
  return std::string(file->bytes());
}

namespace {

std::unique_ptr<file_view> mapped(const descriptor& file, const struct stat& status) {
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return std::make_unique<mapped_file>(nullptr, 0);
  const void* const data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return nullptr;
  return std::make_unique<mapped_file>(data, size);
}

}  // namespace

std::unique_ptr<file_view> system_files::view(const fs::path& path) const {
  const descriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe of that name must not hold us up
  struct stat status {};
  if (!file.is_open() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  return mapped(file, status);
}

std::unique_ptr<file_view> system_files::view_own(const fs::path& path, std::error_code& error) const {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  struct stat status {};
  if (!file.is_open() || ::fstat(file.get(), &status) != 0) {
    error = last_error();
    return nullptr;
  }
  error = is_trusted(status) ? std::error_code{} : std::make_error_code(std::errc::operation_not_permitted);
  return error ? nullptr : mapped(file, status);
}

bool system_files::is_being_written(const fs::path& path) const {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  return file.is_open() && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::vector<fs::path> system_files::find(const fs::path& directory, std::string_view suffix) const {
  std::error_code error;
  return matching(fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied, error),
                  suffix);
}

std::vector<fs::path> system_files::list(const fs::path& directory, std::string_view suffix) const {
  std::error_code error;
  return matching(fs::directory_iterator(directory, fs::directory_options::skip_permission_denied, error), suffix);
}

std::error_code system_files::create_directory(const fs::path& path) {
  if (is_directory(path)) return {};
  if (path.has_parent_path() && path.parent_path() != path) {
    if (const auto error = create_directory(path.parent_path())) return error;
  }
  if (::mkdir(path.c_str(), private_folder) == 0) {
    ::chmod(path.c_str(), private_folder);
  } else if (errno != EEXIST) {
    return last_error();
  }
  return is_directory(path) ? std::error_code{} : std::make_error_code(std::errc::not_a_directory);
}

std::unique_ptr<output_file> system_files::create(const fs::path& path, std::error_code& error) {
  int fd = open_own(path, O_WRONLY | O_TRUNC);
  if (fd < 0 && (errno == EPERM || errno == EACCES || errno == ELOOP || errno == ENXIO)) {
    // What is there is not ours, or cannot be opened: in a folder of ours it can be replaced.
    ::unlink(path.c_str());
    fd = open_own(path, O_WRONLY | O_EXCL);
  }
  if (fd < 0) {
    error = last_error();
    return nullptr;
  }
  error = {};
  ::flock(fd, LOCK_EX | LOCK_NB);  // tells other processes that somebody writes, until the descriptor is closed
  return std::make_unique<system_output_file>(fd);
}

std::unique_ptr<output_file> system_files::open_append(const fs::path& path, std::error_code& error) {
  const int fd = open_own(path, O_WRONLY | O_APPEND);
  if (fd < 0) {
    error = last_error();
    return nullptr;
  }
  error = {};
  return std::make_unique<system_output_file>(fd);
}

std::error_code system_files::rename(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? std::error_code{} : last_error();
}

std::error_code system_files::remove(const fs::path& path) {
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? std::error_code{} : last_error();
}

struct system_files::lock_file {
  explicit lock_file(int fd) : descriptor(fd) {}
  lock_file(const lock_file&) = delete;
  lock_file& operator=(const lock_file&) = delete;
  ~lock_file() { ::close(descriptor); }

  /// `type`: F_WRLCK or F_UNLCK. Returns 0, or -1 with errno.
  int set(std::uint64_t key, short type) const {
    struct flock range {};
    range.l_type = type;
    range.l_whence = SEEK_SET;
    range.l_start = static_cast<off_t>(key);  // locks may lie behind the end of the file: it stays empty
    range.l_len = 1;
    return ::fcntl(descriptor, F_OFD_SETLK, &range);
  }

  bool is_removed() const {
    struct stat status {};
    return ::fstat(descriptor, &status) != 0 || status.st_nlink == 0;
  }

  int descriptor;
  std::set<std::uint64_t> held;
};

namespace {

system_file_lock::~system_file_lock() {
  file_->set(key_, F_UNLCK);
  file_->held.erase(key_);
}

}  // namespace

// All locks in a file share one descriptor. With one each, every child that is started closes them all, and closing one
// makes the kernel look through all locks of the file: with thousands of workers a start took longer than its worker.
std::unique_ptr<file_lock> system_files::try_lock(const fs::path& path, std::uint64_t key, std::error_code& error) {
  error = {};
  auto file = lock_files_[path].lock();
  if (!file || file->is_removed()) {
    const int fd = open_own(path, O_RDWR);
    if (fd < 0) {
      error = last_error();
      return nullptr;
    }
    file = std::make_shared<lock_file>(fd);
    lock_files_[path] = file;
  }
  if (file->held.contains(key)) return nullptr;
  if (file->set(key, F_WRLCK) == 0) {
    file->held.insert(key);
    return std::make_unique<system_file_lock>(std::move(file), key);
  }
  if (errno != EAGAIN && errno != EACCES) error = last_error();
  return nullptr;
}

std::uint64_t lock_key(std::string_view worker_id) {
  constexpr std::uint64_t below_limit = (std::uint64_t{1} << 62U) - 1;
  constexpr unsigned int digits_of_half = 16;
  std::array<std::uint64_t, 2> halves{};
  unsigned int digits = 0;
  for (const char character : worker_id) {
    unsigned int digit = 0;
    if (std::from_chars(&character, &character + 1, digit, 16).ec != std::errc{}) continue;
    auto& half = halves[digits++ / digits_of_half % halves.size()];
    half = half << 4U | digit;
  }
  return (halves[0] ^ halves[1]) & below_limit;
}

}  // namespace awm::worker
