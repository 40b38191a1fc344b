#pragma once
// A file system in memory: what a test puts into `contents` and `directories` is there. It is read-only but for
// appending and locks.

#include "worker/files.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::worker::testing {

class fake_files final : public files {
 public:
  std::map<std::filesystem::path, std::string> contents;
  std::set<std::filesystem::path> directories;
  /// What `open_append` answers with, when set.
  std::error_code open_error;
  /// How many bytes can still be appended before the disk is full.
  std::size_t room = static_cast<std::size_t>(-1);

  bool is_directory(const std::filesystem::path& path) const override { return directories.contains(path); }
  bool is_regular_file(const std::filesystem::path& path) const override { return contents.contains(path); }
  bool is_executable(const std::filesystem::path&) const override { return false; }
  std::string stamp(const std::filesystem::path& path) const override {
    const auto found = contents.find(path);
    return found == contents.end() ? std::string(directories.contains(path) ? "directory" : "")
                                   : "file " + found->second;
  }
  bool is_being_written(const std::filesystem::path&) const override { return false; }

  std::optional<std::string> read(const std::filesystem::path& path) const override {
    const auto found = contents.find(path);
    return found == contents.end() ? std::nullopt : std::optional{found->second};
  }

  std::unique_ptr<file_view> view(const std::filesystem::path& path) const override {
    auto text = read(path);
    return text ? std::make_unique<text_view>(std::move(*text)) : nullptr;
  }

  std::vector<std::filesystem::path> find(const std::filesystem::path& directory,
                                          std::string_view suffix) const override {
    const std::string prefix = directory.string() + "/";
    std::vector<std::filesystem::path> found;
    for (const auto& [path, text] : contents) {
      if (path.string().starts_with(prefix) && path.string().ends_with(suffix)) found.push_back(path);
    }
    return found;
  }

  std::vector<std::filesystem::path> list(const std::filesystem::path& directory,
                                          std::string_view suffix) const override {
    auto found = find(directory, suffix);
    std::erase_if(found, [&](const auto& path) { return path.parent_path() != directory; });
    return found;
  }

  std::error_code create_directory(const std::filesystem::path&) override { return read_only(); }
  std::unique_ptr<output_file> create(const std::filesystem::path&, std::error_code& error) override {
    error = read_only();
    return nullptr;
  }
  std::unique_ptr<output_file> open_append(const std::filesystem::path& path, std::error_code& error) override {
    error = open_error;
    return error ? nullptr : std::make_unique<appended_text>(contents[path], room);
  }
  std::error_code rename(const std::filesystem::path&, const std::filesystem::path&) override { return read_only(); }
  std::error_code remove(const std::filesystem::path&) override { return read_only(); }

  std::unique_ptr<file_lock> try_lock(const std::filesystem::path& path, std::uint64_t key,
                                      std::error_code& error) override {
    error = lock_failure;
    if (error || !locks_->emplace(path, key).second) return nullptr;
    return std::make_unique<held_lock>(locks_, std::pair{path, key});
  }
  /// As if another process held it.
  void lock_elsewhere(const std::filesystem::path& path, std::uint64_t key) { locks_->emplace(path, key); }
  void unlock_elsewhere(const std::filesystem::path& path, std::uint64_t key) { locks_->erase({path, key}); }
  std::error_code lock_failure;

 private:
  class text_view final : public file_view {
   public:
    explicit text_view(std::string text) : text_{std::move(text)} {}
    std::string_view bytes() const override { return text_; }

   private:
    std::string text_;
  };

  class appended_text final : public output_file {
   public:
    appended_text(std::string& text, std::size_t& room) : text_{text}, room_{room} {}
    std::error_code append(std::string_view bytes) override {
      const auto written = std::min(bytes.size(), room_);
      text_ += bytes.substr(0, written);
      room_ -= written;
      return written == bytes.size() ? std::error_code{} : std::make_error_code(std::errc::no_space_on_device);
    }
    std::error_code append_from(const std::filesystem::path&, std::uint64_t, std::uint64_t) override {
      return read_only();
    }

   private:
    std::string& text_;
    std::size_t& room_;
  };

  using lock_table = std::set<std::pair<std::filesystem::path, std::uint64_t>>;

  class held_lock final : public file_lock {
   public:
    held_lock(std::shared_ptr<lock_table> table, lock_table::value_type entry)
        : table_{std::move(table)}, entry_{std::move(entry)} {}
    ~held_lock() override { table_->erase(entry_); }

   private:
    std::shared_ptr<lock_table> table_;
    lock_table::value_type entry_;
  };

  std::shared_ptr<lock_table> locks_ = std::make_shared<lock_table>();

  static std::error_code read_only() { return std::make_error_code(std::errc::read_only_file_system); }
};

}  // namespace awm::worker::testing
