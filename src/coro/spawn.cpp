#include "spawn.hpp"

namespace awm::coro {

void spawn_detached(const asio::any_io_executor& executor, asio::awaitable<void> task) {
  asio::co_spawn(executor, std::move(task), [](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
  });
}

}  // namespace awm::coro
