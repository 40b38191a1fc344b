#include "manager/status_file.hpp"

#include <algorithm>
#include <utility>

namespace awm::manager {
namespace {

// Five times a second is more than people see.
constexpr std::chrono::milliseconds pause{200};
// With thousands of workers less often, so that it takes a fiftieth of the time at most.
constexpr int share_of_writing = 50;

}  // namespace

status_file::status_file(worker::files& files, coro::clock& clock, std::filesystem::path path,
                         std::function<std::string()> describe, std::function<void()> written)
    : files_(files),
      clock_(clock),
      path_(std::move(path)),
      describe_(std::move(describe)),
      written_(std::move(written)),
      soon_(clock) {}

void status_file::changed() {
  if (is_closed_ || std::exchange(is_stale_, true)) return;
  soon_.arm(std::max(clock_.now(), written_at_ + std::max<coro::clock::duration>(pause, share_of_writing * took_)),
            [this] { flush(); });
}

void status_file::flush() {
  soon_.disarm();
  if (!std::exchange(is_stale_, false)) return;
  written_at_ = clock_.now();
  write();
  took_ = clock_.now() - written_at_;
  written_();
}

void status_file::write() {
  auto temporary = path_;
  temporary += ".tmp";
  std::error_code error;
  const auto file = files_.create(temporary, error);
  if (!file) return;
  // A status that cannot be written is no reason to stop working; the next change tries again.
  if (!file->append(describe_())) files_.rename(temporary, path_);
}

void status_file::close() {
  flush();
  is_closed_ = true;
}

}  // namespace awm::manager
