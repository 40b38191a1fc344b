#include "disk.hpp"

#include <algorithm>

namespace awm::simulation {

namespace fs = std::filesystem;

namespace {

constexpr auto journal = ".delivered.ndjson";

std::error_code error_of(std::errc code) {
  return std::make_error_code(code);
}

bool is_transcript(const fs::path& path) {
  const auto name = path.filename().string();
  return name.starts_with("worker-") && name.ends_with(".json") && !name.ends_with(".mcp.json");
}

/// The worker that a file of the log folder belongs to; empty: none.
std::string worker_of(const fs::path& path) {
  constexpr std::size_t prefix = 7;
  constexpr std::size_t id = 36;
  const auto name = path.filename().string();
  return name.starts_with("worker-") && name.size() > prefix + id ? name.substr(prefix, id) : std::string();
}

class text_view final : public worker::file_view {
 public:
  explicit text_view(std::string text) : text_(std::move(text)) {}
  std::string_view bytes() const override { return text_; }

 private:
  std::string text_;
};

}  // namespace

class open_file final : public worker::output_file {
 public:
  open_file(disk& on, std::shared_ptr<process> whose, fs::path path, std::shared_ptr<disk::file> file, bool counts)
      : disk_(on), whose_(std::move(whose)), path_(std::move(path)), file_(std::move(file)), counts_(counts) {
    if (counts_) ++file_->writers;
  }
  ~open_file() override {
    if (counts_) --file_->writers;
  }

  std::error_code append(std::string_view bytes) override {
    const bool was_alive = whose_->is_alive;
    const auto error = disk_.trouble(*whose_, path_);
    auto fits = bytes.size();
    if (error) {
      // The end of the process, or of the room, may come anywhere in the bytes.
      fits = was_alive ? disk_.shared_.random.below(bytes.size() + 1) : 0;
    } else if (disk_.current() == disk::mood::full && disk_.room < fits) {
      fits = std::exchange(disk_.room, 0);
      write(bytes.substr(0, fits));
      disk_.refused(path_);
      return error_of(std::errc::no_space_on_device);
    } else if (disk_.current() == disk::mood::full) {
      disk_.room -= fits;
    }
    write(bytes.substr(0, fits));
    if (!error && path_.filename() == journal) disk_.checks_.journal_written(bytes);
    return error;
  }

  std::error_code append_from(const fs::path& source, std::uint64_t begin, std::uint64_t end) override {
    const auto found = disk_.files.find(source);
    if (found == disk_.files.end()) return error_of(std::errc::no_such_file_or_directory);
    const auto& from = found->second->bytes;
    if (from.size() < end) return error_of(std::errc::io_error);
    return append(from.substr(begin, end - begin));
  }

 private:
  void write(std::string_view bytes) {
    file_->bytes += bytes;
    file_->version = ++disk_.versions_;
    for (const auto& [path, named] : disk_.files) {
      if (named == file_ && is_transcript(path)) disk_.changed(path);
    }
  }

  disk& disk_;
  std::shared_ptr<process> whose_;
  fs::path path_;
  std::shared_ptr<disk::file> file_;
  bool counts_;
};

class mounted_disk final : public worker::files {
 public:
  mounted_disk(disk& on, std::shared_ptr<process> whose) : disk_(on), whose_(std::move(whose)) {}

  bool is_directory(const fs::path& path) const override { return disk_.directories.contains(path); }
  bool is_regular_file(const fs::path& path) const override { return disk_.files.contains(path); }
  bool is_executable(const fs::path& path) const override { return is_regular_file(path); }
  std::string stamp(const fs::path& path) const override {
    const auto found = disk_.files.find(path);
    if (found != disk_.files.end()) return std::to_string(found->second->version);
    return disk_.directories.contains(path) ? "directory" : "";
  }
  std::optional<std::string> read(const fs::path& path) const override {
    const auto found = disk_.files.find(path);
    if (found == disk_.files.end()) return std::nullopt;
    return found->second->bytes;
  }
  std::unique_ptr<worker::file_view> view(const fs::path& path) const override {
    auto text = read(path);
    return text ? std::make_unique<text_view>(std::move(*text)) : nullptr;
  }
  bool is_being_written(const fs::path& path) const override {
    const auto found = disk_.files.find(path);
    return found != disk_.files.end() && found->second->writers > 0;
  }
  std::vector<fs::path> find(const fs::path& directory, std::string_view suffix) const override {
    std::vector<fs::path> found;
    for (const auto& [path, file] : disk_.files) {
      const bool is_below = path.native().starts_with(directory.native() + "/");
      if (is_below && path.native().ends_with(suffix)) found.push_back(path);
    }
    return found;
  }
  std::vector<fs::path> list(const fs::path& directory, std::string_view suffix) const override {
    auto found = find(directory, suffix);
    std::erase_if(found, [&](const auto& path) { return path.parent_path() != directory; });
    return found;
  }

  std::error_code create_directory(const fs::path& path) override {
    if (const auto error = disk_.trouble(*whose_, path)) return error;
    for (auto folder = path; folder != folder.parent_path(); folder = folder.parent_path()) {
      disk_.directories.insert(folder);
    }
    return {};
  }
  std::unique_ptr<worker::output_file> create(const fs::path& path, std::error_code& error) override {
    error = disk_.trouble(*whose_, path);
    if (error) return nullptr;
    auto& file = disk_.files[path];
    if (!file) file = std::make_shared<disk::file>();
    file->bytes.clear();
    file->version = ++disk_.versions_;
    if (is_transcript(path)) disk_.changed(path);
    return std::make_unique<open_file>(disk_, whose_, path, file, true);
  }
  std::unique_ptr<worker::output_file> open_append(const fs::path& path, std::error_code& error) override {
    error = disk_.trouble(*whose_, path);
    if (error) return nullptr;
    auto& file = disk_.files[path];
    if (!file) file = std::make_shared<disk::file>();
    return std::make_unique<open_file>(disk_, whose_, path, file, false);
  }
  std::error_code rename(const fs::path& from, const fs::path& to) override {
    if (const auto error = disk_.trouble(*whose_, from)) return error;
    const auto found = disk_.files.find(from);
    if (found == disk_.files.end()) return error_of(std::errc::no_such_file_or_directory);
    disk_.files[to] = found->second;
    disk_.files.erase(from);
    if (is_transcript(to)) disk_.changed(to);
    return {};
  }
  std::error_code remove(const fs::path& path) override {
    if (const auto error = disk_.trouble(*whose_, path)) return error;
    disk_.files.erase(path);
    return {};
  }

  std::unique_ptr<worker::file_lock> try_lock(const fs::path& path, std::uint64_t key, std::error_code& error) override;

 private:
  disk& disk_;
  std::shared_ptr<process> whose_;
};

namespace {

class held_lock final : public worker::file_lock {
 public:
  held_lock(disk& on, std::shared_ptr<process> whose, std::pair<fs::path, std::uint64_t> key)
      : disk_(on), whose_(std::move(whose)), key_(std::move(key)) {}
  ~held_lock() override {
    const auto found = disk_.locks.find(key_);
    if (found != disk_.locks.end() && found->second == whose_.get()) disk_.locks.erase(found);
  }

 private:
  disk& disk_;
  std::shared_ptr<process> whose_;
  std::pair<fs::path, std::uint64_t> key_;
};

}  // namespace

std::unique_ptr<worker::file_lock> mounted_disk::try_lock(const fs::path& path, std::uint64_t key,
                                                          std::error_code& error) {
  error = {};
  const std::pair wanted{path, key};
  if (!disk_.locks.emplace(wanted, whose_.get()).second) return nullptr;
  return std::make_unique<held_lock>(disk_, whose_, wanted);
}

std::unique_ptr<worker::files> disk::mount(std::shared_ptr<process> whose) {
  return std::make_unique<mounted_disk>(*this, std::move(whose));
}

void disk::begin_weather() {
  const auto lasts = mood_ == mood::well ? shared_.random.about(5min, 5h) : shared_.random.about(1s, 20min);
  shared_.time.after(lasts, [this] {
    const bool was_well = mood_ == mood::well;
    mood_ = !was_well ? mood::well : shared_.random.one_in(2) ? mood::full : mood::failing;
    constexpr std::size_t most_room = 4000;
    room = shared_.random.below(most_room);
    if (shared_.sky.disk_fails) {
      shared_.events.note("disk", mood_ == mood::well ? "is well" : mood_ == mood::full ? "is full" : "fails at times");
    }
    begin_weather();
  });
}

std::error_code disk::trouble(process& whose, const fs::path& path) {
  if (!whose.is_alive) return error_of(std::errc::io_error);
  const bool counts = whose.operations_to_live > 0 && path.native().ends_with(whose.deadly_suffix);
  if (counts && --whose.operations_to_live == 0) {
    whose.is_alive = false;
    shared_.events.note("server", "is killed at an operation on " + path.filename().string());
    return error_of(std::errc::io_error);
  }
  constexpr std::size_t one_in = 20;
  if (current() != mood::failing || !shared_.random.one_in(one_in)) return {};
  refused(path);
  return error_of(std::errc::io_error);
}

void disk::refused(const fs::path& path) {
  ++shared_.counts.faults;
  shared_.events.note("disk", "refuses an operation on " + path.filename().string());
  const auto id = worker_of(path);
  if (!id.empty()) checks_.disk_refused(id);
  if (path.filename() == journal) checks_.journal_refused();
}

void disk::changed(const fs::path& path) {
  checks_.transcript_replaced(path, files.at(path)->bytes);
}

void disk::release(const process& gone) {
  std::erase_if(locks, [&](const auto& lock) { return lock.second == &gone; });
}

}  // namespace awm::simulation
