#pragma once
// A file system in memory, for what writes as well.

#include "worker/files.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace awm::fuzz {

class memory_files final : public worker::files {
 public:
  using path = std::filesystem::path;

  std::map<path, std::string> contents;

  bool is_directory(const path&) const override { return true; }
  bool is_regular_file(const path& at) const override { return contents.contains(at); }
  bool is_executable(const path&) const override { return false; }
  std::string stamp(const path& at) const override { return read(at).value_or(""); }
  bool is_being_written(const path&) const override { return false; }

  std::optional<std::string> read(const path& at) const override {
    const auto found = contents.find(at);
    return found == contents.end() ? std::nullopt : std::optional{found->second};
  }
  std::unique_ptr<worker::file_view> view(const path& at) const override {
    auto text = read(at);
    return text ? std::make_unique<text_view>(*text) : nullptr;
  }
  std::vector<path> find(const path& directory, std::string_view suffix) const override {
    std::vector<path> found;
    for (const auto& [name, text] : contents) {
      const bool is_below = name.string().starts_with(directory.string() + "/");
      if (is_below && name.string().ends_with(suffix)) found.push_back(name);
    }
    return found;
  }
  std::vector<path> list(const path& directory, std::string_view suffix) const override {
    auto found = find(directory, suffix);
    std::erase_if(found, [&](const path& name) { return name.parent_path() != directory; });
    return found;
  }
  std::error_code create_directory(const path&) override { return {}; }
  std::unique_ptr<worker::output_file> create(const path& at, std::error_code& error) override {
    contents[at].clear();
    return open_append(at, error);
  }
  std::unique_ptr<worker::output_file> open_append(const path& at, std::error_code& error) override {
    error = {};
    return std::make_unique<appended>(*this, at);
  }
  std::error_code rename(const path& from, const path& to) override {
    const auto found = contents.find(from);
    if (found == contents.end()) return std::make_error_code(std::errc::no_such_file_or_directory);
    auto text = std::move(found->second);
    contents.erase(found);
    contents[to] = std::move(text);
    return {};
  }
  std::error_code remove(const path& at) override {
    contents.erase(at);
    return {};
  }
  std::unique_ptr<worker::file_lock> try_lock(const path&, std::uint64_t, std::error_code& error) override {
    error = {};
    return std::make_unique<lock>();
  }

 private:
  class lock final : public worker::file_lock {};

  class text_view final : public worker::file_view {
   public:
    // Without what std::string keeps behind its text, so that a reader that goes too far is seen.
    explicit text_view(const std::string& text) : text_(text.begin(), text.end()) {}
    std::string_view bytes() const override { return {text_.data(), text_.size()}; }

   private:
    std::vector<char> text_;
  };

  class appended final : public worker::output_file {
   public:
    appended(memory_files& disk, path at) : disk_(disk), at_(std::move(at)) {}
    std::error_code append(std::string_view bytes) override {
      disk_.contents[at_] += bytes;
      return {};
    }
    std::error_code append_from(const path& source, std::uint64_t begin, std::uint64_t end) override {
      const auto text = disk_.read(source);
      if (!text || end > text->size() || begin > end) return std::make_error_code(std::errc::io_error);
      disk_.contents[at_] += text->substr(begin, end - begin);
      return {};
    }

   private:
    memory_files& disk_;
    path at_;
  };
};

}  // namespace awm::fuzz
